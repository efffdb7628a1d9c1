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

// invariant is one property of a run.
type invariant struct {
	rule  string
	needs needs
	check func(v *view, report func(Violation))
}

// invariants are all there are, in the order of the report. docs/chaos.md describes them.
var invariants = []invariant{
	{"S1", needsDrained | needsEnd, atLeastOnce},
	{"S2", 0, noPhantom},
	{"S3", 0, notSentIsNotDelivered},
	{"S4", needsWire | needsEnd, confirmsBalance},
	{"S5", needsWire | needsEnd, returnsBalance},
	{"S6", 0, noFalseConfirm},
	{"S7", needsWire | needsReplay | needsEnd, replayComplete},
	{"S8", needsWire | needsEnd, replayBounded},
	{"S9", needsEnd, orderKept},
	{"S10", needsWire, redeliveredHonest},
	{"S11", needsWire | needsEnd, duplicatesExplained},
	{"S12", needsWire, settlesFenced},
	{"S13", needsWire, ackTrue},
	{"S14", needsWire, prefetchKept},
	{"S15", needsWire | needsEnd, ackedStaysAcked},
	{"S16", needsEnd, topologyRestored},
	{"S17", needsEnd, consumersRestored},
	{"L1", needsEnd, progressAfterFaults},
	{"L2", needsEnd, nothingLeaked},
	{"L3", 0, pendingBounded},
	{"L4", 0, dialsBounded},
	{"L5", needsEnd, nothingHangs},
}

// Check tells whether the run kept what always holds and what rules promise. It
// takes time and memory in proportion to the history.
func (h *History) Check(rules Rules, facts Facts) *Report {
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
		if v.lacks(inv.needs) {
			r.NotChecked = append(r.NotChecked, inv.rule)
			continue
		}
		all.Go(func() { inv.check(v, found[i].add) })
	}
	all.Wait()
	for i, inv := range invariants {
		if n := found[i].count; n > 0 {
			r.Counts[inv.rule] = n
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
	for _, name := range rules.Queues {
		l.queue(name) // one without any record must still be missed
	}
	h.Names.Queues = l.queueNames()
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
