package ledger

// index gives each message of a run a number, dense from 0.
type index struct {
	base []int // by publisher; the last is the number of messages
}

// newIndex numbers the messages that were asked to be published.
func newIndex(h *History) index {
	var last []uint64 // highest sequence number by publisher
	h.each(of(PubInvoke), func(r *Record) {
		if r.Kind != PubInvoke {
			return
		}
		for int(r.Pub) >= len(last) {
			last = append(last, 0)
		}
		last[r.Pub] = max(last[r.Pub], r.seq())
	})
	base := make([]int, len(last)+1)
	for i, n := range last {
		base[i+1] = base[i] + int(n)
	}
	return index{base: base}
}

func (x *index) len() int { return x.base[len(x.base)-1] }

// slot returns the number of the message that r is about, false if none such was published.
func (x *index) slot(r *Record) (int, bool) {
	if int(r.Pub) >= len(x.base)-1 || r.seq() == 0 {
		return 0, false
	}
	i := x.base[r.Pub] + int(r.seq()) - 1
	return i, i < x.base[r.Pub+1]
}
