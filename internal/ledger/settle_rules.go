package ledger

import (
	"cmp"
	"slices"
)

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

// ackTrue is the rest of S13: each ack of a queue's delivery follows a success of a handler
// with it, one that ended after it had come.
func ackTrue(v *view, report func(Violation)) {
	for slot := range v.messages {
		if m := &v.messages[slot]; m.settledOK > m.handlersOK {
			report(v.of(Client, slot, "acknowledged %d times, handlers succeeded %d times", m.settledOK, m.handlersOK))
		}
	}
	early := func(d *delivery) { report(v.of(Client, int(d.slot), "acknowledged before its handler ended")) }
	known := v.succeededIn()
	again := map[copyKey][]*delivery{}
	for i := range v.deliveries {
		d := &v.deliveries[i]
		if d.slot < 0 || d.settlement != settledAck || d.flags&NoAck != 0 || v.messages[d.slot].settledOK > v.messages[d.slot].handlersOK {
			continue // not an ack, or told already
		}
		if d.queue == noQueue { // by basic.get, from whichever queue
			if v.firstSuccess(int(d.slot)) > d.settled {
				early(d)
			}
			continue
		}
		key := copyKey{int(d.slot), int(d.queue)}
		switch at := key.queue*len(v.messages) + key.slot; {
		case !known[d.queue]: // its handlers note no queue, or another name
		case v.brought[at] > 1 || len(v.succeeded2[key]) > 0:
			again[key] = append(again[key], d)
		case v.succeeded[at] < d.time || v.succeeded[at] > d.settled:
			early(d)
		}
	}
	for key, acks := range again {
		for _, d := range v.unearned(key, acks) {
			early(d)
		}
	}
}

// unearned returns the acks of a message in a queue that have no success of their own
// between delivery and ack: the acks in time order each take the first that is left.
func (v *view) unearned(key copyKey, acks []*delivery) (early []*delivery) {
	ends := append([]int64{v.succeeded[key.queue*len(v.messages)+key.slot]}, v.succeeded2[key]...)
	slices.Sort(ends)
	slices.SortFunc(acks, func(a, b *delivery) int { return cmp.Compare(a.settled, b.settled) })
	for _, d := range acks {
		i := slices.IndexFunc(ends, func(end int64) bool { return d.time <= end && end <= d.settled })
		if i < 0 {
			early = append(early, d)
			continue
		}
		ends = slices.Delete(ends, i, i+1)
	}
	return early
}

// succeededIn tells of each queue whether any handler succeeded with any message of it.
func (v *view) succeededIn() []bool {
	known := make([]bool, v.queues)
	for q := range known {
		ends := v.succeeded[q*len(v.messages):][:len(v.messages)]
		known[q] = slices.ContainsFunc(ends, func(end int64) bool { return end != never })
	}
	return known
}

// firstSuccess returns when a handler of any queue first succeeded with a message.
func (v *view) firstSuccess(slot int) int64 {
	first := int64(never)
	for q := range v.queues {
		first = min(first, v.succeeded[q*len(v.messages)+slot])
	}
	return first
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
