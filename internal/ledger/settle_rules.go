package ledger

// settlesFenced is S12: an ack, nack or reject is about deliveries of its own channel
// that nothing has settled before.
func settlesFenced(v *view, report func(Violation)) { v.reportOddities("S12", report) }

// acksComplete reports whether no ack is still to come, and each success has one.
func (v *view) acksComplete() bool { return v.readToTheEnd() && !v.sawNoAck() }

// successAcked is the part of S13 that needs a run to its end: a handler's success is
// acknowledged unless the channel ended first.
func successAcked(v *view, report func(Violation)) {
	for slot := range v.messages {
		if m := &v.messages[slot]; m.got == 0 && m.handlersOK > m.settledOK+m.unsettled {
			report(v.of(Client, slot, "handlers succeeded %d times, acknowledged %d times", m.handlersOK, m.settledOK))
		}
	}
}

// ackTrue is the rest of S13: an ack says that a handler has succeeded with the message
// before.
func ackTrue(v *view, report func(Violation)) {
	for slot := range v.messages {
		if m := &v.messages[slot]; m.settledOK > m.handlersOK {
			report(v.of(Client, slot, "acknowledged %d times, handlers succeeded %d times", m.settledOK, m.handlersOK))
		}
	}
	for i := range v.deliveries {
		d := &v.deliveries[i]
		if d.slot >= 0 && d.settlement == settledAck && d.flags&NoAck == 0 && d.settled < v.messages[d.slot].handledOK &&
			v.messages[d.slot].handlersOK > 0 {
			report(v.of(Client, int(d.slot), "acknowledged before its handler ended"))
		}
	}
}

// prefetchKept is S14: a consumer holds no more unsettled deliveries than its prefetch.
func prefetchKept(v *view, report func(Violation)) { v.reportOddities("S14", report) }

// prefetchDeclared is the other part of S14: a consumer has the prefetch that was
// declared for its queue.
func prefetchDeclared(v *view, report func(Violation)) {
	for name, declared := range v.rules.Prefetch {
		for _, q := range v.queueNumbers([]string{name}) {
			for i := range v.epochs {
				for _, c := range v.epochs[i].consumers {
					if int(c.queue) == q && !c.noAck && c.prefetch != declared {
						report(general(Client, "consumer of %q in channel epoch %d has prefetch %d, %d was declared", name, i, c.prefetch, declared))
					}
				}
			}
		}
	}
}
