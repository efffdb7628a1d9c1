package ledger

import (
	"cmp"
	"slices"
)

// replaySlack is how long after a decision to publish no more its result may be noted.
const replaySlack = int64(50e6)

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

// replayComplete is S7: on its next channel a publisher first publishes again what
// the end of the last one left without a verdict, in the same order, and then what
// is new, in order too. While the application waits, nothing is given up.
func replayComplete(v *view, report func(Violation)) {
	for slot := range v.messages {
		if o := v.messages[slot].outcome; v.rules.Patient && !v.rules.AtMostOnce && o != Confirmed && o != Returned && o != Pending {
			report(v.of(Client, slot, "given up: its outcome is %s", o))
		}
	}
	published := make([]bool, len(v.messages))
	for _, stretches := range v.stretches() {
		newest := -1
		for i, s := range stretches {
			if i > 0 && !v.rules.AtMostOnce {
				v.checkReplay(stretches[i-1], s, report)
			}
			newest = v.checkNewOnes(s, published, newest, report)
		}
	}
}

// checkReplay compares what the end of one channel left open with what the next one
// published first.
func (v *view) checkReplay(before, after stretch, report func(Violation)) {
	first := v.publications[after.pubs[0]].time
	place := map[int32]int{} // in after, by slot
	firstNew := len(after.pubs)
	left := v.unresolved(before)
	for i, n := range after.pubs {
		slot := v.publications[n].slot
		_, again := place[slot]
		switch {
		case left[slot] && !again:
			place[slot] = i
		case !left[slot] && firstNew == len(after.pubs) && v.messages[slot].publications == 1:
			firstNew = i
		}
	}
	last := -1
	for _, n := range before.pubs {
		slot := v.publications[n].slot
		if !v.publications[n].unresolved() {
			continue
		}
		at, again := place[slot]
		switch {
		case !again && v.messages[slot].resulted > first+replaySlack:
			report(v.of(Client, int(slot), "left without a verdict, and not published on the next channel"))
		case again && at < last:
			report(v.of(Client, int(slot), "published again out of order"))
		case again && at > firstNew:
			report(v.of(Client, int(slot), "published again after new messages"))
		}
		if again {
			last = max(last, at)
		}
	}
}

// unresolved returns the messages for which no verdict came on a channel.
func (v *view) unresolved(s stretch) map[int32]bool {
	left := map[int32]bool{}
	for _, n := range s.pubs {
		if p := &v.publications[n]; p.unresolved() {
			left[p.slot] = true
		}
	}
	return left
}

func (p *publication) unresolved() bool { return p.verdict == noVerdict && !p.returned }

// checkNewOnes wants the messages that were not published before in the order of
// the application, and returns the newest one.
func (v *view) checkNewOnes(s stretch, published []bool, newest int, report func(Violation)) int {
	for _, n := range s.pubs {
		slot := v.publications[n].slot
		if published[slot] || int(slot) >= v.index.len() { // a further attempt stands anywhere
			continue
		}
		published[slot] = true
		if int(slot) < newest {
			report(v.of(Client, int(slot), "published for the first time after a later one"))
		}
		newest = max(newest, int(slot))
	}
	return newest
}

// replayBounded is S8: a message is published as often as the rules allow at most,
// and never again once the client must have read its ack.
func replayBounded(v *view, report func(Violation)) {
	if most := v.rules.MaxPublications; most > 0 {
		for slot := range v.messages {
			if n := int(v.messages[slot].publications); n > most {
				report(v.of(Client, slot, "published %d times, the limit is %d", n, most))
			}
		}
	}
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
