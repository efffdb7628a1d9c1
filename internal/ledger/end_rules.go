package ledger

import (
	"slices"
)

// topologyRestored is S16: after the run there is what was declared, nothing less and
// nothing more.
func topologyRestored(v *view, report func(Violation)) {
	compare(v.facts.Declared, v.facts.Actual, func(missing, extra string) {
		if missing != "" {
			report(general(Client, "missing: %s", missing))
		} else {
			report(general(Client, "not declared, and there: %s", extra))
		}
	})
}

// consumersRestored is the part of S17 that asks the broker: after the run it has the
// consumers that were registered, each once.
func consumersRestored(v *view, report func(Violation)) {
	compare(v.facts.Registered, v.facts.Active, func(missing, extra string) {
		if missing != "" {
			report(general(Client, "consumer is missing: %s", missing))
		} else {
			report(general(Client, "consumer is one too many: %s", extra))
		}
	})
}

// cancelsAnswered is S17: a cancel of the server was answered, and what came for a
// consumer that was no more was given back.
func cancelsAnswered(v *view, report func(Violation)) {
	for _, c := range v.cancels {
		if !c.answered && v.heard(&v.epochs[c.epoch], c.time) {
			report(general(Client, "cancel by the server of consumer %d in channel epoch %d was not answered", c.consumer, c.epoch))
		}
	}
	for i := range v.deliveries {
		d := &v.deliveries[i]
		if !d.known && d.consumer != gotten && d.settlement == open && v.heard(&v.epochs[d.epoch], d.time) {
			report(v.of(Client, int(d.slot), "delivered to a consumer that was no more, and not given back"))
		}
	}
}

// consumersCounted is the part of S17 that compares the consumers on the wire with those
// registered: at the end there are as many, and never more on one connection.
func consumersCounted(v *view, report func(Violation)) {
	for name, want := range v.rules.Consumers {
		q, got := slices.Index(v.history.Queues, name), 0
		lives := map[uint32]*spans{} // by connection
		for i := range v.epochs {
			e := &v.epochs[i]
			for _, c := range e.consumers {
				if int(c.queue) != q {
					continue
				}
				if lives[e.conn] == nil {
					lives[e.conn] = &spans{}
				}
				lives[e.conn].add(c.begun, min(c.ended, e.closed))
				if c.ended == never && e.closed == never {
					got++
				}
			}
		}
		if got != want {
			report(general(Client, "queue %q has %d consumers, %d were registered", name, got, want))
			continue
		}
		for conn, s := range lives {
			if n := s.most(); n > want {
				report(general(Client, "queue %q had %d consumers on connection %d, %d were registered", name, n, conn, want))
			}
		}
	}
}

// compare calls f with each string of want that is missing from got and each of got
// that is not in want, each as often as it lacks or exceeds. It does nothing if
// want is nil: nobody looked.
func compare(want, got []string, f func(missing, extra string)) {
	if want == nil {
		return
	}
	want, got = slices.Clone(want), slices.Clone(got)
	slices.Sort(want)
	slices.Sort(got)
	for len(want) > 0 || len(got) > 0 {
		switch {
		case len(got) == 0 || len(want) > 0 && want[0] < got[0]:
			f(want[0], "")
			want = want[1:]
		case len(want) == 0 || got[0] < want[0]:
			f("", got[0])
			got = got[1:]
		default:
			want, got = want[1:], got[1:]
		}
	}
}
