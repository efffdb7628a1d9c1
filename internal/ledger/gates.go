package ledger

import (
	"fmt"
	"slices"
)

// doubts returns why a run proves less than it should: faults without effect, too
// little traffic, replay or redelivery never exercised, queues not read to their end.
func doubts(v *view, s *Summary) []string {
	var all []string
	doubt := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for i := range v.faults {
		f := &v.faults[i]
		if f.effects < f.begun {
			doubt("fault %q: begun %d times, seen to work %d times", v.history.Faults[i], f.begun, f.effects)
		}
		if f.ended < f.begun {
			doubt("fault %q: begun %d times, ended %d times", v.history.Faults[i], f.begun, f.ended)
		}
	}
	if !v.facts.Drained {
		doubt("the queues were not read until they were empty")
	}
	least := func(what string, got, want int) {
		if got < want {
			doubt("%s: %d, at least %d make a run worth its verdict", what, got, want)
		}
	}
	least("confirmed messages", s.Confirmed, v.rules.MinConfirmed)
	least("consumed messages", s.Unique, v.rules.MinConsumed)
	least("returned messages", s.Returned, v.rules.MinReturned)
	least("deliveries given back", v.countRequeued(), v.rules.MinRequeued)
	least("publishes whose verdict was cut off", v.countCutOff(), v.rules.MinUnresolved)
	if v.rules.MaxWait > 0 {
		least("waits between attempts to connect", len(v.facts.Waits), minWaits)
	}
	least("redeliveries", v.countRedelivered(), v.rules.MinRedelivered)
	if v.rules.MinPending > 0 {
		least("publishes pending at the peak", slices.Max(append(v.mostPending(), 0)), v.rules.MinPending)
	}
	for name, want := range v.rules.MinOutstanding {
		least("unsettled deliveries from "+name+" at the peak", v.mostOutstanding(name), want)
	}
	return all
}

// mostOutstanding returns how many deliveries a consumer of the queue had not settled at the peak.
func (v *view) mostOutstanding(queue string) (most int) {
	q := slices.Index(v.history.Queues, queue)
	for i := range v.epochs {
		for _, c := range v.epochs[i].consumers {
			if int(c.queue) == q {
				most = max(most, c.worst)
			}
		}
	}
	return most
}

// countCutOff returns on how many messages the end of a channel cut off the verdict, which never passed: of one that
// passed in the last moment nobody knows whether it was read.
func (v *view) countCutOff() int {
	cutOff := make(map[int32]bool)
	for i := range v.publications {
		if p := &v.publications[i]; p.slot >= 0 && p.unresolved() && v.epochs[p.epoch].closed != never {
			cutOff[p.slot] = true
		}
	}
	return len(cutOff)
}

func (v *view) countRequeued() (n int) {
	v.history.each(of(WireSettle), func(r *Record) {
		if r.Kind == WireSettle && r.Flags&Requeue != 0 {
			n++
		}
	})
	return n
}

func (v *view) countRedelivered() (n int) {
	v.history.each(of(Deliver), func(r *Record) {
		if r.Kind == Deliver && r.Flags&Redelivered != 0 {
			n++
		}
	})
	return n
}
