package nullbroker

// ackWindow counts what acks settle: each delivery once, whether by itself or under a multiple.
type ackWindow struct {
	base uint64 // lowest tag that is not settled
	done []bool // of tags from base on, as a ring; its length is a power of two
}

// reset makes room for n deliveries that wait for their ack.
func (w *ackWindow) reset(n int) {
	size := 1
	for size < n {
		size *= 2
	}
	w.base, w.done = 1, make([]bool, size)
}

// ack returns how many deliveries it settles.
func (w *ackWindow) ack(tag uint64, multiple bool) (n int) {
	if tag < w.base || len(w.done) == 0 {
		return 0
	}
	for tag-w.base >= uint64(len(w.done)) { // a delivery is held back while later ones are acked
		w.grow()
	}
	if multiple {
		for w.base <= tag {
			if !w.shift() {
				n++
			}
		}
	} else if at := w.at(tag); !*at {
		*at = true
		n = 1
	}
	for *w.at(w.base) {
		w.shift()
	}
	return n
}

func (w *ackWindow) at(tag uint64) *bool { return &w.done[tag&uint64(len(w.done)-1)] }

// shift drops the lowest tag and says whether it was settled.
func (w *ackWindow) shift() bool {
	at := w.at(w.base)
	was := *at
	*at = false
	w.base++
	return was
}

func (w *ackWindow) grow() {
	bigger := ackWindow{base: w.base, done: make([]bool, 2*len(w.done))}
	for tag := w.base; tag != w.base+uint64(len(w.done)); tag++ {
		*bigger.at(tag) = *w.at(tag)
	}
	*w = bigger
}
