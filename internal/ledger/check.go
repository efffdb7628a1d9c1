package ledger

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// needs says what an invariant cannot do without.
type needs uint8

const (
	needsWire needs = 1 << iota
	needsDrained
	needsReplay
	needsEnd // of the run: what is missing may come yet
)

// invariant is one property of a run, or the part of it that needs something of its own.
type invariant struct {
	rule       string
	part       string // empty: all of it, or all but the parts that follow
	needs      needs
	configured func(v *view) bool // whether rules and facts say what it compares with; nil: it needs nothing
	check      func(v *view, report func(Violation))
}

// String returns the rule, and which part of it.
func (i invariant) String() string {
	if i.part == "" {
		return i.rule
	}
	return i.rule + " (" + i.part + ")"
}

// invariants are all there are, in the order of the report. docs/internals/chaos.md describes them.
var invariants = []invariant{
	{"S1", "", needsDrained | needsEnd, nil, atLeastOnce},
	{"S2", "", 0, nil, noPhantom},
	{"S2", "on the wire", needsWire, nil, noPhantomOnTheWire},
	{"S3", "", 0, nil, notSentIsNotDelivered},
	{"S4", "", needsWire | needsEnd, nil, confirmsBalance},
	{"S5", "", needsWire | needsEnd, nil, returnsBalance},
	{"S6", "", needsWire, nil, noFalseConfirm},
	{"S7", "", needsWire | needsReplay | needsEnd, nil, replayComplete},
	{"S8", "", needsWire | needsEnd, nil, nothingAfterItsAck},
	{"S8", "how often", needsWire | needsEnd, func(v *view) bool { return v.rules.MaxPublications > 0 }, replayBounded},
	{"S9", "", needsEnd, func(v *view) bool { return len(v.rules.Ordered) > 0 }, orderKept},
	{"S10", "", needsWire, nil, redeliveredHonest},
	{"S11", "", needsWire | needsEnd, nil, duplicatesExplained},
	{"S12", "", needsWire, nil, settlesFenced},
	{"S13", "", needsWire, nil, ackTrue},
	{"S13", "every success is acknowledged", needsWire, (*view).acksComplete, successAcked},
	{"S14", "", needsWire, nil, prefetchKept},
	{"S14", "as declared", needsWire, func(v *view) bool { return len(v.rules.Prefetch) > 0 }, prefetchDeclared},
	{"S15", "", needsWire | needsEnd, nil, ackedStaysAcked},
	{"S16", "", needsEnd, func(v *view) bool { return v.facts.Declared != nil }, topologyRestored},
	{"S17", "", needsWire | needsEnd, nil, cancelsAnswered},
	{"S17", "as registered", needsWire | needsEnd, func(v *view) bool { return len(v.rules.Consumers) > 0 }, consumersCounted},
	{"S17", "at the broker", needsEnd, func(v *view) bool { return v.facts.Registered != nil }, consumersRestored},
	{"L1", "in time", needsEnd, func(v *view) bool { return v.rules.Recovery > 0 }, progressAfterFaults},
	{"L1", "nothing is left", needsEnd, (*view).readToTheEnd, nothingLeft},
	{"L2", "", needsEnd, func(v *view) bool { return v.facts.Before != (Resources{}) }, nothingLeaked},
	{"L3", "", 0, func(v *view) bool { return v.rules.MaxPending > 0 }, pendingBounded},
	{"L4", "how many", needsWire, func(v *view) bool { return v.rules.MaxDials > 0 }, dialsBounded},
	{"L4", "spread", 0, func(v *view) bool { return v.rules.MaxWait > 0 && len(v.facts.Waits) >= minWaits }, waitsSpread},
	{"L5", "", needsEnd, nil, everyPublishEnds},
	{"L5", "calls", 0, func(v *view) bool { return len(v.calls) > 0 }, callsEnd},
	{"L5", "results in time", needsEnd, func(v *view) bool { return v.rules.Deadline > 0 }, resultsInTime},
}

// Check tells whether the run kept what always holds and what rules promise. It
// takes time and memory in proportion to the history.
func (h *History) Check(rules Rules, facts Facts) *Report {
	for _, name := range rules.Queues { // one without any record must still be missed
		if !slices.Contains(h.Queues, name) {
			h.Queues = append(h.Queues, name)
		}
	}
	return newView(h, &rules, &facts).check()
}

func (v *view) check() *Report {
	h := v.history
	r := &Report{Counts: map[string]int{}}
	var all sync.WaitGroup // which only read
	all.Go(func() { r.Summary = h.Summary(time.Duration(v.end)) })
	all.Go(func() { r.Recovery = recoveryTimes(v) })
	found := make([]findings, len(invariants))
	for i, inv := range invariants {
		if v.lacks(inv.needs) || inv.configured != nil && !inv.configured(v) {
			r.NotChecked = append(r.NotChecked, inv.String())
			continue
		}
		all.Go(func() { inv.check(v, found[i].add) })
	}
	all.Wait()
	for i, inv := range invariants {
		if n := found[i].count; n > 0 {
			r.Counts[inv.rule] += n
		}
		for _, f := range found[i].first {
			f.Rule = inv.rule
			r.Violations = append(r.Violations, f)
		}
	}
	r.Doubts = doubts(v, &r.Summary)
	addLives(v, r.Violations)
	return r
}

// findings are the violations of one rule.
type findings struct {
	first []Violation // perRule at most
	count int
}

func (f *findings) add(v Violation) {
	if f.count++; f.count <= perRule {
		f.first = append(f.first, v)
	}
}

// Check checks what the ledger holds now: call it when the run is over.
func (l *Ledger) Check(rules Rules, facts Facts) (*Report, error) {
	h, err := l.History()
	if err != nil {
		return nil, err
	}
	return h.Check(rules, facts), nil
}

// lag is how long a record may take from its time to its place in a shard.
const lag = 100 * time.Millisecond

// CheckSoFar checks a run that goes on, by the rules that nothing later can mend: one
// that has broken them need not go on. It leaves out the last moment, and costs as much
// as [Ledger.Check].
func (l *Ledger) CheckSoFar(rules Rules) (*Report, error) {
	until := l.now() - int64(lag)
	h, err := l.History()
	if err != nil {
		return nil, err
	}
	for i, part := range h.Parts {
		h.Parts[i] = part[:len(part):len(part)]
		if n := slices.IndexFunc(part, func(r Record) bool { return r.Time > until }); n >= 0 {
			h.Parts[i] = part[:n:n]
		}
	}
	v := newView(&h, &rules, &Facts{})
	v.going = true
	return v.check(), nil
}

func (v *view) lacks(n needs) bool {
	return n&needsEnd != 0 && v.going || n&needsWire != 0 && !v.wire || n&needsDrained != 0 && !v.facts.Drained ||
		n&needsReplay != 0 && !v.rules.Replay
}

// readToTheEnd reports whether somebody looked what the queues hold at last.
func (v *view) readToTheEnd() bool { return v.facts.Drained || v.facts.Left > 0 }

// of is a violation by a message.
func (v *view) of(blame Blame, slot int, format string, args ...any) Violation {
	return Violation{Blame: blame, Text: fmt.Sprintf(format, args...), slot: slot}
}

// general is a violation by no message in particular.
func general(blame Blame, format string, args ...any) Violation {
	return Violation{Blame: blame, Text: fmt.Sprintf(format, args...), slot: -1}
}

// reportOddities reports the frames that broke a rule by themselves.
func (v *view) reportOddities(rule string, report func(Violation)) {
	for _, o := range v.oddities {
		if o.rule == rule {
			report(Violation{Blame: o.blame, Text: fmt.Sprintf("%s (channel epoch %d, tag %d)", o.text, o.epoch, o.tag), slot: o.slot})
		}
	}
}
