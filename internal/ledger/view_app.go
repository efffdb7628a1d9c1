package ledger

import (
	"slices"
	"sync"
)

// newView arranges a history. The records of a handle must stand in the order of
// its calls; handles may stand in any order.
func newView(h *History, rules *Rules, facts *Facts) *view {
	h.look()
	v := &view{
		index: newIndex(h), rules: rules, facts: facts, history: h, grace: rules.grace(),
		attempts: map[attemptKey]int{}, succeeded2: map[copyKey][]int64{}, revived: map[copyKey]uint16{}, queues: len(h.Queues), faults: make([]faultView, len(h.Faults)),
	}
	v.messages = make([]message, v.index.len())
	for i := range v.messages {
		v.messages[i] = message{invoked: never, resulted: never, acked: never, published: -1}
	}
	for _, part := range h.Parts {
		if n := len(part); n > 0 {
			v.end = max(v.end, part[n-1].Time)
		}
	}
	h.each(of(PubInvoke), func(r *Record) {
		if r.Kind == PubInvoke {
			v.invoke(r)
		}
	})
	pubs, deliveries := 0, 0
	h.each(of(WirePub, WireDeliver), func(r *Record) {
		switch r.Kind {
		case WirePub:
			pubs++
			v.epoch(r.Epoch).pubsAhead++
		case WireDeliver:
			deliveries++
			v.epoch(r.Epoch).deliveriesAhead++
		}
	})
	v.publications, v.deliveries = make([]publication, 0, pubs), make([]delivery, 0, deliveries)
	for i := range v.epochs {
		e := &v.epochs[i]
		e.pubs, e.delivered = make([]int32, 0, e.pubsAhead), make([]int32, 0, e.deliveriesAhead)
	}
	v.handled = make([]uint16, v.queues*len(v.messages))
	v.handledFirst = make([]uint16, len(v.handled))
	v.succeeded = slices.Repeat([]int64{never}, len(v.handled))
	v.brought = make([]uint16, len(v.handled))
	v.broughtFirst = make([]uint16, len(v.handled))
	var both sync.WaitGroup // neither writes what the other reads or writes
	both.Go(func() { h.each(application&^of(PubInvoke), v.say) })
	both.Go(func() {
		h.each(all&^application, func(r *Record) {
			if all&^application&of(r.Kind) != 0 {
				v.frame(r)
			}
		})
	})
	both.Wait()
	v.finish()
	return v
}

// invoke gives a further attempt a slot behind all messages.
func (v *view) invoke(r *Record) {
	slot, _ := v.slot(r)
	if r.attempt() > 1 {
		v.messages[slot].replaced = true
		slot = len(v.messages)
		v.attempts[attemptKey{r.Pub, r.Seq}] = slot
		v.messages = append(v.messages, message{resulted: never, acked: never, published: -1})
	}
	m := &v.messages[slot]
	m.invoked, m.crc, m.asked = r.Time, r.CRC, r.Node
}

// say takes a record of the application ledger.
func (v *view) say(r *Record) {
	switch r.Kind {
	case Result:
		v.result(r)
	case Deliver:
		v.handle(r)
	case HandlerEnd:
		v.handlerEnd(r)
	case State:
		v.down.note(r)
	case Call:
		v.calls = append(v.calls, *r)
	case Nemesis:
		v.fault(r)
	case LossWindow:
		v.loss(r)
	}
}

func (v *view) result(r *Record) {
	slot, ok := v.slotOf(r)
	if !ok {
		return
	}
	m := &v.messages[slot]
	m.results++
	m.outcome, m.resulted = Outcome(r.Flags), min(m.resulted, r.Time)
}

func (v *view) handle(r *Record) {
	slot, why := v.match(r)
	if why == "" && r.Flags&Dead == 0 && high(r.Tag) != 0 && !v.messages[slot].is(high(r.Tag)) {
		why = "has another exchange or routing key"
	}
	if why != "" {
		v.strangers[0] = append(v.strangers[0], stranger{*r, why})
		return
	}
	i := int(r.Node)*len(v.messages) + slot
	v.handled[i]++
	if r.Flags&Redelivered == 0 {
		v.handledFirst[i]++
	}
}

// is reports whether the application has not asked for another route.
func (m *message) is(route uint16) bool { return m.asked == 0 || m.asked == route }

// match returns the slot of what was delivered, or why it is not what was published.
func (v *view) match(r *Record) (slot int, why string) {
	slot, ok := v.slotOf(r)
	switch {
	case r.Flags&Foreign != 0:
		return -1, "is no message of this run"
	case r.Flags&Corrupt != 0:
		return -1, "has a wrong checksum or header"
	case !ok || v.messages[slot].invoked == never:
		return -1, "was never published"
	case v.messages[slot].crc != r.CRC:
		return -1, "is not the body that was published"
	}
	return slot, ""
}

func (v *view) handlerEnd(r *Record) {
	slot, ok := v.slotOf(r)
	if !ok || r.Flags&Failed != 0 {
		return
	}
	v.messages[slot].handlersOK++
	i := int(r.Node)*len(v.messages) + slot
	if v.succeeded[i] == never {
		v.succeeded[i] = r.Time
		return
	}
	key := copyKey{slot, int(r.Node)}
	v.succeeded2[key] = append(v.succeeded2[key], r.Time)
}

func (v *view) fault(r *Record) {
	if int(r.Node) >= len(v.faults) {
		return
	}
	v.faultRecords = append(v.faultRecords, *r)
	f := &v.faults[r.Node]
	switch {
	case r.Flags&Begun != 0:
		f.begun++
	case r.Flags&Effect != 0:
		f.effects++
	case r.Flags&Ended != 0:
		f.ended++
		f.heals = append(f.heals, r.Time)
	}
}

func (v *view) loss(r *Record) {
	if r.Flags&Begun != 0 {
		v.windows = append(v.windows, lossWindow{r.Node, r.Time, never})
		return
	}
	for i := range slices.Backward(v.windows) {
		if w := &v.windows[i]; w.queue == r.Node && w.end == never {
			w.end = r.Time
			return
		}
	}
}

// mayBeLost reports whether a declared window excuses that the queue did not deliver
// the message.
func (v *view) mayBeLost(m *message, queue int) bool {
	return slices.ContainsFunc(v.windows, func(w lossWindow) bool {
		return int(w.queue) == queue && v.excuses(w, m)
	})
}

// excuses reports whether the message may have been in its queue, or on its way to it, while the window was open.
func (v *view) excuses(w lossWindow, m *message) bool {
	return m.invoked <= w.end && min(m.acked, m.resulted) > w.begun-v.rules.residence()
}
