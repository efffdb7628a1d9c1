package ledger

import (
	"cmp"
	"slices"
)

// stretch is what one publisher published on one channel.
type stretch struct {
	epoch *epoch
	pubs  []int32
}

// stretches returns what each publisher published, channel by channel, in time order.
func (v *view) stretches() map[uint32][]stretch {
	all := map[uint32][]stretch{}
	for i := range v.epochs {
		e := &v.epochs[i]
		for _, n := range e.pubs {
			p := &v.publications[n]
			if p.slot < 0 {
				continue
			}
			s := all[p.publisher]
			if len(s) == 0 || s[len(s)-1].epoch != e {
				s = append(s, stretch{epoch: e})
			}
			last := &s[len(s)-1]
			if last.pubs == nil {
				last.pubs = make([]int32, 0, len(e.pubs)) // most channels have one publisher
			}
			last.pubs = append(last.pubs, n)
			all[p.publisher] = s
		}
	}
	for _, s := range all {
		slices.SortFunc(s, func(a, b stretch) int {
			return cmp.Compare(v.publications[a.pubs[0]].time, v.publications[b.pubs[0]].time)
		})
	}
	return all
}

// replayComplete is S7: a publisher publishes nothing new before it has published
// again what the end of earlier channels left without a verdict, in the same order;
// and what is new in the order of the application. While the application waits,
// nothing is given up.
func replayComplete(v *view, report func(Violation)) {
	for slot := range v.messages {
		if o := v.messages[slot].outcome; v.rules.Patient && !v.rules.AtMostOnce && o != Confirmed && o != Returned && o != Pending {
			report(v.of(Client, slot, "given up: its outcome is %s", o))
		}
	}
	published := make([]bool, len(v.messages))
	for _, stretches := range v.stretches() {
		r := replay{view: v, published: published, newest: -1, report: report}
		for _, s := range stretches {
			r.follow(s)
		}
	}
}

// replay follows one publisher from channel to channel.
type replay struct {
	*view
	owed      []int32 // to be published again before anything new, in that order
	published []bool  // by slot
	newest    int32   // the newest message that was ever published
	report    func(Violation)
}

// follow takes the publisher's next channel.
func (r *replay) follow(s stretch) {
	place := make(map[int32]int, len(r.owed)) // in owed, of those still to come
	for i, slot := range r.owed {
		place[slot] = i
	}
	last := -1
	for _, n := range s.pubs {
		p := &r.publications[n]
		at, owed := place[p.slot]
		switch {
		case owed:
			delete(place, p.slot)
			if at < last {
				r.report(r.of(Client, int(p.slot), "published again out of order"))
			}
			last = max(last, at)
		case !r.published[p.slot]:
			r.checkNew(p, place)
		}
		r.published[p.slot] = true
	}
	r.owe(s, place)
}

// checkNew checks what is published for the first time.
func (r *replay) checkNew(p *publication, place map[int32]int) {
	if int(p.slot) < r.index.len() { // a further attempt of the application stands anywhere
		if p.slot < r.newest {
			r.report(r.of(Client, int(p.slot), "published for the first time after a later one"))
		}
		r.newest = max(r.newest, p.slot)
	}
	for slot := range place {
		if r.messages[slot].resulted > p.time+resultSlack {
			r.report(r.of(Client, int(slot), "left without a verdict, and not published again before %s", r.name(int(p.slot))))
		}
	}
	clear(place) // told once
}

// owe works out what the end of a channel leaves to be published again: what it cut
// off, and then what the channel had not come to.
func (r *replay) owe(s stretch, place map[int32]int) {
	var owed []int32
	if !r.rules.AtMostOnce {
		for _, n := range s.pubs {
			if p := &r.publications[n]; p.unresolved() {
				owed = append(owed, p.slot)
			}
		}
	}
	for _, slot := range r.owed {
		if _, open := place[slot]; open {
			owed = append(owed, slot)
		}
	}
	r.owed = owed
}

func (p *publication) unresolved() bool { return p.verdict == noVerdict && !p.returned }

// replayBounded is the part of S8 with a limit: a message is published as often as the
// rules allow at most.
func replayBounded(v *view, report func(Violation)) {
	for slot := range v.messages {
		if n := int(v.messages[slot].publications); n > v.rules.MaxPublications {
			report(v.of(Client, slot, "published %d times, the limit is %d", n, v.rules.MaxPublications))
		}
	}
}

// nothingAfterItsAck is the rest of S8: no message is published again once the client
// must have read its ack.
func nothingAfterItsAck(v *view, report func(Violation)) {
	for i := range v.publications {
		p := &v.publications[i]
		if p.slot < 0 || p.verdict != acked || p.returned || !v.heard(&v.epochs[p.epoch], p.verdictTime) {
			continue
		}
		if v.messages[p.slot].published > p.verdictTime+v.grace {
			report(v.of(Client, int(p.slot), "published again after its ack"))
		}
	}
}
