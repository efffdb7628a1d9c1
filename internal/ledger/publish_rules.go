package ledger

// atLeastOnce is S1: what was confirmed reaches a handler, from each queue that must
// deliver it, unless a declared window excuses its loss.
func atLeastOnce(v *view, report func(Violation)) {
	queues := v.queueNumbers(v.rules.Queues)
	for slot := range v.messages {
		m := &v.messages[slot]
		if m.outcome != Confirmed {
			continue
		}
		if len(queues) == 0 {
			if !v.seen(slot) && !v.mayBeLostAnywhere(m) {
				report(v.of(v.whoLost(slot, -1), slot, "confirmed, and no handler saw it"))
			}
			continue
		}
		for _, q := range queues {
			if v.handled[q*len(v.messages)+slot] == 0 && !v.mayBeLost(m, q) {
				report(v.of(v.whoLost(slot, q), slot, "confirmed, and no handler of queue %q saw it", v.history.Queues[q]))
			}
		}
	}
}

// whoLost blames the broker for what it acknowledged and never brought.
func (v *view) whoLost(slot, queue int) Blame {
	m := &v.messages[slot]
	switch {
	case !v.wire:
		return Unclear
	case m.ackedUnreturned == 0:
		return Client // it was never stored
	case v.timesBrought(slot, queue) > 0 || m.got > 0:
		return Client
	}
	return Broker
}

// notSentIsNotDelivered is S3: what the API called not sent did not reach the broker.
// What the client wrote to a channel that the server had closed does not count: the
// server ignores it.
func notSentIsNotDelivered(v *view, report func(Violation)) {
	for slot := range v.messages {
		if v.messages[slot].outcome == NotSent && (v.seen(slot) || v.timesBrought(slot, -1) > 0) {
			report(v.of(Client, slot, "called not sent, and delivered"))
		}
	}
	for i := range v.publications {
		p := &v.publications[i]
		if p.slot >= 0 && !p.afterTheFact && v.messages[p.slot].outcome == NotSent {
			report(v.of(Client, int(p.slot), "called not sent, and written to the broker"))
		}
	}
}

// resultSlack is how long after a decision about a message its result may be noted.
const resultSlack = int64(50e6)

// givenUp reports whether the sender stopped waiting for the message before the broker
// gave its verdict, and so was told that it is unknown.
func (m *message) givenUp(verdict int64) bool {
	return m.outcome == Unknown && m.resulted < verdict+resultSlack
}

// confirmsBalance is S4: the broker gives each publish of a channel one verdict at
// most, and the API passes on each verdict that the client must have read, once,
// unless the sender had stopped waiting before.
func confirmsBalance(v *view, report func(Violation)) {
	v.reportOddities("S4", report)
	for slot := range v.messages {
		if n := v.messages[slot].results; n > 1 {
			report(v.of(Client, slot, "has %d results", n))
		}
	}
	for i := range v.publications {
		p := &v.publications[i]
		if p.slot < 0 || p.verdict == noVerdict || p.returned || !v.heard(&v.epochs[p.epoch], p.verdictTime) {
			continue
		}
		m := &v.messages[p.slot]
		switch {
		case m.givenUp(p.verdictTime):
		case p.verdict == acked && m.outcome != Confirmed:
			report(v.of(Client, int(p.slot), "acknowledged by the broker, and its outcome is %s", m.outcome))
		case p.verdict == nacked && m.publications == 1 && m.outcome != Nacked:
			report(v.of(Client, int(p.slot), "refused by the broker, and its outcome is %s", m.outcome))
		}
	}
}

// returnsBalance is S5: a return comes before its confirm, and is the outcome of its
// message unless that was published again; nothing else is called returned.
func returnsBalance(v *view, report func(Violation)) {
	v.reportOddities("S5", report)
	for slot := range v.messages {
		if m := &v.messages[slot]; m.outcome == Returned && m.returns == 0 {
			report(v.of(Client, slot, "called returned, and the broker did not return it"))
		}
	}
	for i := range v.publications {
		p := &v.publications[i]
		if p.slot < 0 || !p.returned || p.verdict == noVerdict || !v.heard(&v.epochs[p.epoch], p.verdictTime) {
			continue
		}
		if m := &v.messages[p.slot]; m.outcome != Returned && m.published <= p.time && !m.givenUp(p.verdictTime) {
			report(v.of(Client, int(p.slot), "returned by the broker, and its outcome is %s", m.outcome))
		}
	}
}

// noFalseConfirm is S6: what the API calls confirmed was acknowledged before, on the
// channel that published it, and not returned.
func noFalseConfirm(v *view, report func(Violation)) {
	for slot := range v.messages {
		m := &v.messages[slot]
		if m.outcome == Confirmed && m.acked > m.resulted {
			report(v.of(Client, slot, "called confirmed before the broker has acknowledged it, or though it was returned"))
		}
	}
}
