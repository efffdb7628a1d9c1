package ledger

import (
	"slices"
	"time"
)

// nothingLeft is the part of L1 about the end: nothing is left in the queues.
func nothingLeft(v *view, report func(Violation)) {
	if n := v.facts.Left; n > 0 {
		report(general(Unclear, "%d messages are left in the queues", n))
	}
}

// progressAfterFaults is the part of L1 about the run: within the time that the rules
// allow after the end of a fault a publish is confirmed and a handler starts, if
// anything was published after it.
func progressAfterFaults(v *view, report func(Violation)) {
	for _, p := range v.progress() {
		if p.wanted && p.took > v.rules.Recovery {
			report(general(Client, "%s after the end of a fault at %v: %v, the limit is %v", p.what, time.Duration(p.healed), p.took, v.rules.Recovery))
		}
	}
}

// progress is the time from the end of a fault to the next success.
type progress struct {
	what   string
	healed int64
	took   time.Duration // until the end of the run if nothing succeeded
	wanted bool          // there was something to do
}

// progress returns, for each end of a fault, when publishers and consumers went on.
func (v *view) progress() []progress {
	var heals []int64
	for _, f := range v.faults {
		heals = append(heals, f.heals...)
	}
	if len(heals) == 0 {
		return nil
	}
	slices.Sort(heals)
	confirmed, handled := make([]int64, len(heals)), make([]int64, len(heals))
	for i := range heals {
		confirmed[i], handled[i] = never, never
	}
	var lastInvoke, lastResult int64
	v.history.each(of(PubInvoke, Result, Deliver), func(r *Record) {
		i, _ := slices.BinarySearch(heals, r.Time+1) // the fault before
		switch {
		case r.Kind == PubInvoke:
			lastInvoke = max(lastInvoke, r.Time)
		case r.Kind == Result && Outcome(r.Flags) == Confirmed:
			lastResult = max(lastResult, r.Time)
			if i > 0 {
				confirmed[i-1] = min(confirmed[i-1], r.Time)
			}
		case r.Kind == Deliver && i > 0:
			handled[i-1] = min(handled[i-1], r.Time)
		}
	})
	var all []progress
	for i := range slices.Backward(heals) {
		if i+1 < len(heals) {
			confirmed[i], handled[i] = min(confirmed[i], confirmed[i+1]), min(handled[i], handled[i+1])
		}
		all = append(all,
			progress{"first confirm", heals[i], time.Duration(min(confirmed[i], v.end) - heals[i]), lastInvoke > heals[i]},
			progress{"first delivery", heals[i], time.Duration(min(handled[i], v.end) - heals[i]), lastInvoke > heals[i] && lastResult > heals[i]})
	}
	return all
}

// recoveryTimes returns the distribution of the times that L1 bounds.
func recoveryTimes(v *view) Times {
	var all []time.Duration
	for _, p := range v.progress() {
		if p.wanted {
			all = append(all, p.took)
		}
	}
	if len(all) == 0 {
		return Times{}
	}
	slices.Sort(all)
	return Times{P50: all[len(all)/2], P99: all[len(all)*99/100], Max: all[len(all)-1]}
}

// nothingLeaked is L2: goroutines, files and connections are back where they were, and
// the heap nearly.
func nothingLeaked(v *view, report func(Violation)) {
	before, after := v.facts.Before, v.facts.After
	for _, r := range []struct {
		name                string
		before, after, more int
	}{
		{"goroutines", before.Goroutines, after.Goroutines, 0},
		{"open files", before.Files, after.Files, 0},
		{"connections", before.Connections, after.Connections, 0},
		{"bytes on the heap", before.Heap, after.Heap, v.rules.Growth},
	} {
		if r.after > r.before+r.more {
			report(general(Client, "%d %s after the run, %d before", r.after, r.name, r.before))
		}
	}
}

// pendingBounded is L3: a publisher never has more publishes without a result than
// its buffers may hold.
func pendingBounded(v *view, report func(Violation)) {
	for p, n := range v.mostPending() {
		if n > v.rules.MaxPending {
			report(general(Client, "publisher %d had %d publishes pending, the limit is %d", p, n, v.rules.MaxPending))
		}
	}
}

// mostPending returns how many publishes each publisher had without a result at the peak.
func (v *view) mostPending() []int {
	pending := make([]spans, len(v.base)-1)
	for p := range pending {
		n := v.base[p+1] - v.base[p]
		pending[p] = spans{make([]int64, 0, n), make([]int64, 0, n)}
	}
	for slot := range v.index.len() {
		m := &v.messages[slot]
		pending[v.publisherOf(slot)].add(m.invoked, m.resulted)
	}
	most := make([]int, len(pending))
	for p := range pending {
		most[p] = pending[p].most()
	}
	return most
}

// spans are stretches of time.
type spans struct{ begun, ended []int64 }

// add adds one; it may never end.
func (s *spans) add(begun, ended int64) {
	s.begun = append(s.begun, begun)
	if ended != never {
		s.ended = append(s.ended, ended)
	}
}

// most returns how many overlap at most. It sorts them.
func (s *spans) most() (most int) {
	slices.Sort(s.begun)
	slices.Sort(s.ended)
	done := 0
	for i, t := range s.begun {
		for done < len(s.ended) && s.ended[done] <= t {
			done++
		}
		most = max(most, i+1-done)
	}
	return most
}

// waitsSpread is the part of L4 about a fleet: clients that wait to connect again do not
// all wait as long.
func waitsSpread(v *view, report func(Violation)) {
	most := v.rules.MaxWait
	if distance, limit := spread(v.facts.Waits, most); distance > limit {
		report(general(Client, "%d waits are not spread evenly below %v: their distance from it is %.2f, the limit is %.2f",
			len(v.facts.Waits), most, distance, limit))
	}
}

// dialsBounded is the part of L4 about the number: within any second no more connections
// are opened than the rules allow.
func dialsBounded(v *view, report func(Violation)) {
	for i := v.rules.MaxDials; i < len(v.dials); i++ {
		if from := v.dials[i-v.rules.MaxDials]; v.dials[i]-from < int64(time.Second) {
			report(general(Client, "more than %d connections within the second from %v on", v.rules.MaxDials, time.Duration(from)))
			return
		}
	}
}

// callSlack is how much longer than its deadline an API call may take.
const callSlack = time.Second

// callsEnd is the part of L5 about API calls: each ends in time.
func callsEnd(v *view, report func(Violation)) {
	for i := range v.calls {
		r := &v.calls[i]
		if took, limit := time.Duration(r.Tag), time.Duration(r.Seq); limit > 0 && took > limit+callSlack {
			report(general(Client, "%s took %v, its limit was %v", v.history.Calls[r.Node], took, limit))
		}
	}
}

// everyPublishEnds is L5: every publish has a result.
func everyPublishEnds(v *view, report func(Violation)) {
	for slot := range v.messages {
		if m := &v.messages[slot]; m.invoked != never && m.results == 0 {
			report(v.of(Client, slot, "has no result"))
		}
	}
}

// resultsInTime is the part of L5 with a limit: every publish has its result soon.
func resultsInTime(v *view, report func(Violation)) {
	for slot := range v.messages {
		m := &v.messages[slot]
		if m.invoked != never && m.results > 0 && time.Duration(m.resulted-m.invoked) > v.rules.Deadline+callSlack {
			report(v.of(Client, slot, "had its result after %v, the limit is %v", time.Duration(m.resulted-m.invoked), v.rules.Deadline))
		}
	}
}
