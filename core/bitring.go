package core

// bitRing is a queue of bits that grows with the furthest one set.
type bitRing struct {
	words []uint64 // len is a power of two
	head  uint64   // index of bit 0
}

func (r *bitRing) size() uint64 { return uint64(len(r.words)) * 64 }

func (r *bitRing) get(i uint64) bool {
	if i >= r.size() {
		return false
	}
	at := (r.head + i) & (r.size() - 1)
	return r.words[at/64]&(1<<(at%64)) != 0
}

func (r *bitRing) set(i uint64) {
	for i >= r.size() {
		r.grow()
	}
	at := (r.head + i) & (r.size() - 1)
	r.words[at/64] |= 1 << (at % 64)
}

// drop drops bits 0 … n-1.
func (r *bitRing) drop(n uint64) {
	if n >= r.size() {
		clear(r.words)
		return
	}
	for range n {
		r.shift()
	}
}

// shift drops bit 0.
func (r *bitRing) shift() {
	if len(r.words) == 0 {
		return
	}
	r.words[r.head/64] &^= 1 << (r.head % 64)
	r.head = (r.head + 1) & (r.size() - 1)
}

func (r *bitRing) grow() {
	bigger := bitRing{words: make([]uint64, max(1, 2*len(r.words)))}
	for i := range r.size() {
		if r.get(i) {
			bigger.words[i/64] |= 1 << (i % 64)
		}
	}
	*r = bigger
}
