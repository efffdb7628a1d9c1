package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Blame says on which side of the wire a promise was broken.
type Blame uint8

// The sides.
const (
	Unclear Blame = iota
	Client
	Broker
)

// String returns the side in a word.
func (b Blame) String() string { return [...]string{"unclear", "client", "broker"}[b] }

// Violation is a promise that was not kept.
type Violation struct {
	Rule  string // S1 to S17, L1 to L5
	Blame Blame
	Text  string
	Life  string // what both ledgers hold of the message, in one line; may be empty

	slot int // of the message; -1: none
}

// String returns the violation in a line or two.
func (v Violation) String() string {
	s := fmt.Sprintf("%s (%s): %s", v.Rule, v.Blame, v.Text)
	if v.Life != "" {
		s += "\n    " + v.Life
	}
	return s
}

// Verdict is what a check comes to.
type Verdict uint8

// The verdicts. A run is inconclusive when nothing was broken but too little was tried.
const (
	Green Verdict = iota
	Inconclusive
	Red
)

// String returns the verdict in a word.
func (v Verdict) String() string { return [...]string{"green", "inconclusive", "red"}[v] }

// Report is the result of [History.Check].
type Report struct {
	Summary
	Violations []Violation    // the first of each rule
	Counts     map[string]int // of all violations, by rule
	Doubts     []string       // why the run proves less than it should
	NotChecked []string       // rules, or parts of them, for which records, rules or facts are missing
	Recovery   Times          // from the end of a fault to progress of publishers and consumers
}

// Times are a distribution.
type Times struct{ P50, P99, Max time.Duration }

// perRule is how many violations of a rule are told in full.
const perRule = 10

// Verdict sums the report up.
func (r *Report) Verdict() Verdict {
	switch {
	case len(r.Counts) > 0:
		return Red
	case len(r.Doubts) > 0:
		return Inconclusive
	}
	return Green
}

// Broken returns the rules with violations.
func (r *Report) Broken() []string {
	rules := make([]string, 0, len(r.Counts))
	for rule := range r.Counts {
		rules = append(rules, rule)
	}
	slices.Sort(rules)
	return rules
}

// String returns the report as lines: verdict, violations with the life of their
// messages, doubts, and the summary.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "verdict: %s\n", r.Verdict())
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "%s\n", v)
	}
	for _, rule := range r.Broken() {
		if n := r.Counts[rule]; n > perRule {
			fmt.Fprintf(&b, "%s: %d violations in all\n", rule, n)
		}
	}
	for _, d := range r.Doubts {
		fmt.Fprintf(&b, "doubt: %s\n", d)
	}
	if len(r.NotChecked) > 0 {
		fmt.Fprintf(&b, "not checked: %s\n", strings.Join(r.NotChecked, ", "))
	}
	b.WriteString(r.Summary.String())
	return b.String()
}
