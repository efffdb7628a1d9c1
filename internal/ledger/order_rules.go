package ledger

import (
	"cmp"
	"slices"
)

// seen is the first time that a queue brought a message to a handler.
type seen struct {
	slot int
	time int64
}

// orderKept is S9: a queue with one consumer brings the messages of a publisher to
// its handler for the first time in the order in which they were published. Only a
// message on which the end of a channel cut off the verdict may be ahead of its
// place: the broker may have stored it, and not those before it. So may those behind
// one that was refused, or tried again by the application.
func orderKept(v *view, report func(Violation)) {
	for _, queue := range v.queueNumbers(v.rules.Ordered) {
		newest := make([]int, len(v.base)) // by publisher, the highest slot whose place is certain
		for i := range newest {
			newest[i] = -1
		}
		for _, s := range v.firstDeliveries(queue) {
			m := &v.messages[s.slot]
			if s.slot >= v.index.len() || m.refused || m.replaced {
				continue
			}
			p := v.publisherOf(s.slot)
			if s.slot < newest[p] {
				report(v.of(Unclear, s.slot, "came first after %s, which was published later", v.name(newest[p])))
			}
			if !m.cutOff {
				newest[p] = max(newest[p], s.slot)
			}
		}
	}
}

// firstDeliveries returns when each message came to a handler of a queue first, in
// time order.
func (v *view) firstDeliveries(queue int) []seen {
	all := make([]seen, 0, len(v.messages))
	have := make([]bool, len(v.messages))
	sorted := true
	v.history.each(of(Deliver), func(r *Record) {
		if r.Kind != Deliver || int(r.Node) != queue {
			return
		}
		slot, why := v.match(r)
		if why != "" {
			return
		}
		sorted = sorted && (len(all) == 0 || all[len(all)-1].time <= r.Time)
		all = append(all, seen{slot, r.Time})
	})
	if !sorted {
		slices.SortStableFunc(all, func(a, b seen) int { return cmp.Compare(a.time, b.time) })
	}
	return slices.DeleteFunc(all, func(s seen) bool {
		again := have[s.slot]
		have[s.slot] = true
		return again
	})
}
