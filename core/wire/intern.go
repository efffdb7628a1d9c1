package wire

import "hash/maphash"

// internSlots is the number of strings kept, a power of two. At 255 octets each they take 1 MiB.
const internSlots = 4096

// interner remembers short strings in a two-way associative cache: no input makes it grow, and a peer that
// never repeats itself only makes it useless.
type interner struct {
	seed  maphash.Seed
	slots *[internSlots]string // made on first use
}

// get returns the string with the octets b, without allocating if it is remembered.
func (t *interner) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if t.slots == nil {
		t.seed = maphash.MakeSeed()
		t.slots = new([internSlots]string)
	}
	i := maphash.Bytes(t.seed, b) % internSlots
	if t.slots[i] == string(b) {
		return t.slots[i]
	}
	other := i ^ 1
	if t.slots[other] == string(b) {
		return t.slots[other]
	}
	t.slots[other] = t.slots[i]
	t.slots[i] = string(b)
	return t.slots[i]
}

// again is get for a name that probably is last.
func (t *interner) again(last string, b []byte) string {
	if last == string(b) {
		return last
	}
	return t.get(b)
}
