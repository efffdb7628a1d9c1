package ledger

import "slices"

// noPhantom is S2: what is delivered was published, with that body.
func noPhantom(v *view, report func(Violation)) {
	v.reportOddities("S2", report)
	for _, s := range slices.Concat(v.strangers[0], v.strangers[1]) {
		slot, ok := v.slotOf(&s.Record)
		if !ok {
			slot = -1
		}
		blame := Broker
		if s.Kind == Deliver && v.wire {
			blame = Client
		}
		if s.Kind == Deliver && s.Flags&Foreign != 0 {
			blame = Unclear // the wire ledger does not look into foreign messages
		}
		report(v.of(blame, slot, "delivered with tag %d: %s", low(s.Tag), s.why))
	}
}

// noPhantomOnTheWire is the part of S2 that compares what came with what went.
func noPhantomOnTheWire(v *view, report func(Violation)) {
	for i := range v.deliveries {
		d := &v.deliveries[i]
		if d.slot < 0 {
			continue
		}
		switch m := &v.messages[d.slot]; {
		case m.publications == 0:
			report(v.of(Broker, int(d.slot), "delivered, and not published on any connection"))
		case m.route != d.route && d.flags&Dead == 0:
			report(v.of(Broker, int(d.slot), "delivered with another exchange or routing key"))
		}
	}
}

// redeliveredHonest is S10: a queue delivers each copy of a message without the
// redelivered flag once at most, not counting what dead-lettering brings back, and the
// API shows the flag as it was.
func redeliveredHonest(v *view, report func(Violation)) {
	for q := range v.queues {
		if v.stream(q) { // it does not know what it has delivered
			continue
		}
		forgets := slices.Contains(v.rules.Unflagged, v.history.Queues[q])
		for slot := range v.messages {
			first, copies := v.broughtFirst[q*len(v.messages)+slot], v.messages[slot].publications
			if !forgets && copies > 0 && first > copies && first-v.revived[copyKey{slot, q}] > copies {
				report(v.of(Broker, slot, "delivered %d times as if for the first time, published %d times", first, copies))
			}
			if shown := v.handledFirst[q*len(v.messages)+slot]; shown > first && v.messages[slot].got == 0 {
				report(v.of(Client, slot, "shown %d times as if for the first time, delivered so %d times", shown, first))
			}
		}
	}
}

// duplicatesExplained is S11: every delivery beyond the copies published follows from
// a delivery that was requeued, or not settled when its channel or consumer ended;
// and a handler sees what came on the wire, no more.
func duplicatesExplained(v *view, report func(Violation)) {
	for q := range v.queues {
		for slot := range v.messages {
			handled, brought := v.handled[q*len(v.messages)+slot], v.brought[q*len(v.messages)+slot]
			if v.messages[slot].got == 0 && handled > brought {
				report(v.of(Client, slot, "handled %d times, delivered %d times", handled, brought))
			}
		}
	}
	extra := v.requeued()
	for i, spare := range extra {
		copies := int(v.messages[i.slot].publications)
		if n := int(v.brought[i.queue*len(v.messages)+i.slot]); copies > 0 && n > copies+spare.any() && spare.acked == 0 {
			blame := Broker
			if v.stream(i.queue) { // the client says where to begin
				blame = Client
			}
			report(v.of(blame, i.slot, "delivered %d times: %d published, %d requeued", n, copies, spare.any()))
		}
	}
}

// copyKey names a message in a queue.
type copyKey struct{ slot, queue int }

// spare is why a queue may deliver a message once more.
type spare struct {
	requeued int // refused, or not settled in time
	acked    int // acknowledged, and the broker must have known it for long
}

func (s spare) any() int { return s.requeued }

// requeued returns, for each message that a queue delivered more than once, what
// became of its deliveries.
func (v *view) requeued() map[copyKey]spare {
	all := map[copyKey]spare{}
	reread := v.reread()
	for i := range v.deliveries {
		d := &v.deliveries[i]
		if d.slot < 0 || d.queue == noQueue || v.brought[int(d.queue)*len(v.messages)+int(d.slot)] < 2 {
			continue
		}
		key := copyKey{int(d.slot), int(d.queue)}
		s := all[key]
		switch {
		case v.stream(int(d.queue)):
			if from, again := reread[d.epoch]; again && d.tag >= from {
				s.requeued++
			}
		case v.mayComeAgain(d):
			s.requeued++
		case d.settlement == settledAck:
			s.acked++
		}
		all[key] = s
	}
	return all
}

// stream reports whether a queue is one.
func (v *view) stream(queue int) bool {
	return slices.Contains(v.rules.Streams, v.history.Queues[queue])
}

// reread returns, for each epoch that has ended, from which delivery of a stream on the
// next consumer may read again: the first one that was not settled.
func (v *view) reread() map[uint32]uint64 {
	from := map[uint32]uint64{}
	for n := range v.epochs {
		e := &v.epochs[n]
		for _, i := range e.delivered {
			d := &v.deliveries[i]
			if e.closed != never && d.settlement == open && d.queue != noQueue && v.stream(int(d.queue)) {
				from[uint32(n)] = d.tag
				break
			}
		}
	}
	return from
}

// mayComeAgain reports whether the broker may deliver the message once more.
func (v *view) mayComeAgain(d *delivery) bool {
	e := &v.epochs[d.epoch]
	switch {
	case d.settlement == settledRequeue || d.settlement == settledDrop: // dropped: dead-lettering may bring it back
		return true
	case d.settlement == open:
		return e.closed != never || v.revoked(d) != never
	case e.closed != never && !v.reached(e, d.settled):
		return true
	}
	return v.revoked(d) < d.settled+v.grace // the ack came too late, or may have
}

// ackedStaysAcked is S15: a message whose ack the broker must have read does not come
// again.
func ackedStaysAcked(v *view, report func(Violation)) {
	for i, spare := range v.requeued() {
		copies := int(v.messages[i.slot].publications)
		if n := int(v.brought[i.queue*len(v.messages)+i.slot]); copies > 0 && n > copies+spare.any() && spare.acked > 0 {
			report(v.of(Broker, i.slot, "delivered %d times: %d published, %d requeued, %d acknowledged", n, copies, spare.any(), spare.acked))
		}
	}
}
