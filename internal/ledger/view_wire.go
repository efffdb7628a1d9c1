package ledger

import "slices"

// frame takes a record of the wire ledger.
func (v *view) frame(r *Record) {
	v.wire = true
	e := v.epoch(r.Epoch)
	switch r.Kind {
	case ConnOpen:
		v.dials = append(v.dials, r.Time)
	case EpochOpen:
		e.conn, e.channel, e.opened = uint32(low(r.Tag)), uint32(high(r.Tag)), r.Time
	case EpochClose:
		e.closed, e.silence, e.flags, e.code = r.Time, int64(r.Seq), r.Flags, uint16(r.Tag)
	case ConfirmSelect:
		e.confirms, e.firstConfirmed = true, len(e.pubs)
	case WirePub:
		v.publication(e, r)
	case Confirm:
		v.confirm(e, r)
	case WireReturn:
		v.giveBack(e, r)
	case Qos:
		e.prefetch = r.Tag
	case Consume:
		e.consumers = append(e.consumers, consumerView{
			queue: r.Node, prefetch: int(e.prefetch), noAck: r.Flags&NoAck != 0, begun: r.Time, ended: never, revoked: never,
		})
	case Cancel:
		v.cancel(e, r)
	case WireDeliver:
		v.deliver(e, r)
	case WireSettle:
		v.settle(e, r)
	}
}

// epoch returns the epoch of that number; 0 is the one of no channel.
func (v *view) epoch(n uint32) *epoch {
	for int(n) >= len(v.epochs) {
		v.epochs = append(v.epochs, epoch{closed: never})
	}
	return &v.epochs[n]
}

func (v *view) odd(rule string, blame Blame, slot int, r *Record, text string) {
	v.oddities = append(v.oddities, oddity{rule, blame, slot, r.Epoch, low(r.Tag), r.Time, text})
}

func (v *view) publication(e *epoch, r *Record) {
	p := publication{
		slot: -1, epoch: r.Epoch, time: r.Time, verdictTime: never, flags: r.Flags, publisher: r.Pub,
		number: r.Tag, afterTheFact: e.flags&ByServer != 0,
	}
	slot, why := v.match(r)
	switch {
	case r.Flags&Foreign != 0:
	case why != "":
		v.odd("S2", Client, slot, r, "published on the wire: "+why)
	default:
		p.slot = int32(slot)
		m := &v.messages[slot]
		m.publications++
		m.publishedOn(e.conn, r.Time)
		m.route = r.Node
		if !m.is(r.Node) {
			v.odd("S2", Client, slot, r, "published with another exchange or routing key than was asked for")
		}
	}
	e.pubs = append(e.pubs, int32(len(v.publications)))
	v.publications = append(v.publications, p)
}

func (v *view) confirm(e *epoch, r *Record) {
	tags := e.pubs[e.firstConfirmed:]
	verdict := acked
	if r.Flags&Negative != 0 {
		verdict = nacked
	}
	last := int(min(r.Tag, uint64(len(tags))))
	switch {
	case !e.confirms:
		v.odd("S4", Broker, -1, r, "confirm on a channel without confirms")
	case r.Tag == 0 && r.Flags&Multiple == 0 || r.Tag > uint64(len(tags)):
		v.odd("S4", Broker, -1, r, "confirm of a tag that was not published")
	case r.Flags&Multiple == 0:
		v.conclude(&v.publications[tags[last-1]], verdict, r)
	default:
		if r.Tag == 0 {
			last = len(tags)
		}
		for ; e.confirmedUpTo < last; e.confirmedUpTo++ {
			if p := &v.publications[tags[e.confirmedUpTo]]; p.verdict == noVerdict {
				v.conclude(p, verdict, r)
			}
		}
	}
}

func (v *view) conclude(p *publication, verdict verdict, r *Record) {
	if p.verdict != noVerdict {
		v.odd("S4", Broker, int(p.slot), r, "confirmed twice")
		return
	}
	p.verdict, p.verdictTime = verdict, r.Time
	if p.slot < 0 {
		return
	}
	m := &v.messages[p.slot]
	switch {
	case verdict == nacked:
		m.refused = true
	case !p.returned:
		m.ackedUnreturned++
		m.acked = min(m.acked, r.Time)
	}
}

func (v *view) giveBack(e *epoch, r *Record) {
	slot, why := v.match(r)
	if r.Flags&Foreign != 0 {
		return
	}
	if why != "" {
		v.odd("S2", Broker, slot, r, "returned: "+why)
		return
	}
	v.messages[slot].returns++
	v.messages[slot].refused = true
	for _, i := range slices.Backward(e.pubs) {
		p := &v.publications[i]
		if int(p.slot) != slot || p.returned {
			continue
		}
		if p.returned = true; p.verdict != noVerdict {
			v.odd("S5", Broker, slot, r, "returned after its confirm")
		}
		return
	}
	v.odd("S5", Broker, slot, r, "returned on a channel that did not publish it")
}

func (v *view) cancel(e *epoch, r *Record) {
	n := int(r.Tag) - 1
	if n < 0 || n >= len(e.consumers) {
		return
	}
	c := &e.consumers[n]
	crossed := c.ended < c.revoked // the client's own
	c.ended = min(c.ended, r.Time)
	if r.Flags&ByServer != 0 {
		c.revoked = min(c.revoked, r.Time)
		v.cancels = append(v.cancels, cancelled{r.Epoch, uint16(r.Tag), r.Time, crossed})
		return
	}
	for i := range v.cancels {
		if c := &v.cancels[i]; c.epoch == r.Epoch && c.consumer == uint16(r.Tag) {
			c.answered = true
		}
	}
}

func (v *view) deliver(e *epoch, r *Record) {
	d := delivery{
		slot: -1, epoch: r.Epoch, tag: low(r.Tag), consumer: high(r.Tag), queue: noQueue, route: r.Node,
		flags: r.Flags, time: r.Time, settled: never,
	}
	if slot, why := v.match(r); why == "" {
		d.slot = int32(slot)
	} else {
		v.strangers[1] = append(v.strangers[1], stranger{*r, why})
	}
	if uint64(len(e.delivered)+1) != d.tag {
		v.odd("S12", Broker, int(d.slot), r, "delivery tags are not contiguous")
	}
	if n := int(d.consumer) - 1; n >= 0 && n < len(e.consumers) {
		d.queue, d.known = e.consumers[n].queue, e.consumers[n].ended == never
		v.outstanding(e, &e.consumers[n], &d, r)
	}
	if d.flags&NoAck != 0 {
		d.settlement, d.settled = settledAck, r.Time
	}
	v.count(&d)
	e.delivered = append(e.delivered, int32(len(v.deliveries)))
	v.deliveries = append(v.deliveries, d)
}

// count counts a delivery for its message.
func (v *view) count(d *delivery) {
	switch {
	case d.slot < 0:
	case d.consumer == gotten:
		v.messages[d.slot].got++
	case d.queue != noQueue:
		i := int(d.queue)*len(v.messages) + int(d.slot)
		v.brought[i]++
		if d.flags&Redelivered == 0 {
			v.broughtFirst[i]++
			if d.flags&Dead != 0 {
				v.revived[copyKey{int(d.slot), int(d.queue)}]++
			}
		}
	}
}

// outstanding counts what a consumer has not settled, and notes what its deliveries show.
func (v *view) outstanding(e *epoch, c *consumerView, d *delivery, r *Record) {
	if c.noAck || c.revoked != never {
		return // a revoked one holds nothing
	}
	c.outstanding++
	c.worst = max(c.worst, c.outstanding)
	if slices.Contains(v.rules.Chunked, v.history.Queues[c.queue]) {
		return
	}
	e.read = max(e.read, c.room.deliver(c.prefetch))
	if c.prefetch > 0 && c.outstanding == c.prefetch+1 {
		v.odd("S14", Broker, int(d.slot), r, "delivery beyond the prefetch")
	}
}

func (v *view) settle(e *epoch, r *Record) {
	last := int(min(r.Tag, uint64(len(e.delivered))))
	switch {
	case e.closed != never: // on its way when the channel ended: the broker ignores it
	case r.Tag > uint64(len(e.delivered)) || r.Tag == 0 && r.Flags&Multiple == 0:
		v.odd("S12", Client, -1, r, "settles a tag that was not delivered on this channel")
	case r.Flags&Multiple == 0:
		if !v.settleOne(e, last-1, r) {
			v.odd("S12", Client, int(v.deliveries[e.delivered[last-1]].slot), r, "settles a delivery for the second time")
		}
	default:
		if r.Tag == 0 {
			last = len(e.delivered)
		}
		settled := false
		for ; e.settledUpTo < last; e.settledUpTo++ {
			settled = v.settleOne(e, e.settledUpTo, r) || settled
		}
		if !settled && r.Tag != 0 { // 0 is whatever there is, which can be nothing
			v.odd("S12", Client, -1, r, "settles nothing: all deliveries up to the tag are settled")
		}
	}
}

// settleOne settles the delivery at that place, false if it is settled already.
func (v *view) settleOne(e *epoch, place int, r *Record) bool {
	d := &v.deliveries[e.delivered[place]]
	if d.settlement != open {
		return false
	}
	d.settled = r.Time
	switch {
	case r.Flags&Negative == 0:
		d.settlement = settledAck
	case r.Flags&Requeue != 0:
		d.settlement = settledRequeue
	default:
		d.settlement = settledDrop
	}
	if n := int(d.consumer) - 1; n >= 0 && n < len(e.consumers) {
		e.consumers[n].outstanding--
		e.consumers[n].room.settle(r.Time)
	}
	return true
}

// finish derives what can be told only when all records are in.
func (v *view) finish() {
	slices.Sort(v.dials)
	for i := range v.publications {
		p := &v.publications[i]
		e := &v.epochs[p.epoch]
		if p.slot >= 0 && e.closed != never && (p.verdict == noVerdict || !v.heard(e, p.verdictTime)) {
			v.messages[p.slot].cutOff = true
		}
	}
	for i := range v.deliveries {
		d := &v.deliveries[i]
		if d.slot < 0 || d.flags&NoAck != 0 {
			continue
		}
		m, e := &v.messages[d.slot], &v.epochs[d.epoch]
		switch {
		case d.settlement == open && (e.closed != never || v.revoked(d) != never):
			m.unsettled++
		case d.settlement == open:
			m.open++
		case d.settlement == settledAck:
			m.settledOK++
		}
	}
}

// revoked returns when the server took the consumer of the delivery away.
func (v *view) revoked(d *delivery) int64 {
	e := &v.epochs[d.epoch]
	if n := int(d.consumer) - 1; n >= 0 && n < len(e.consumers) {
		return e.consumers[n].revoked
	}
	return never
}

// publishedOn notes a publication. A tap sees what waited in a connection that was silent only when that goes on,
// and by then the client may long have published it again on a newer one: that is the later publication.
func (m *message) publishedOn(conn uint32, at int64) {
	if conn >= m.conn {
		m.conn, m.published = conn, at
	}
}
