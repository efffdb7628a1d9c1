package ledger

import (
	"slices"
	"testing"
	"time"
)

func TestARunThatProvesTooLittleIsInconclusive(t *testing.T) {
	read := Facts{Drained: true}
	for name, c := range map[string]struct {
		script string
		rules  Rules
		facts  Facts
		want   Verdict
		doubts int
	}{
		"nothing was asked for":          {begin + one, Rules{}, read, Green, 0},
		"the queues were not read":       {begin + one, Rules{}, Facts{}, Inconclusive, 1},
		"a fault without effect":         {begin + "fault f; end f; " + one, Rules{}, read, Inconclusive, 1},
		"a fault with effect":            {begin + "fault f; effect f; end f; " + one, Rules{}, read, Green, 0},
		"a fault that did not end":       {begin + "fault f; effect f; " + one, Rules{}, read, Inconclusive, 1},
		"one of two without effect":      {begin + "fault f; effect f; end f; fault f; end f; " + one, Rules{}, read, Inconclusive, 1},
		"too few messages":               {begin + one, Rules{MinConfirmed: 2, MinConsumed: 2}, read, Inconclusive, 2},
		"enough messages":                {begin + one, Rules{MinConfirmed: 1, MinConsumed: 1}, read, Green, 0},
		"nothing was returned":           {begin + one, Rules{MinReturned: 1}, read, Inconclusive, 1},
		"something was returned":         {begin + "invoke 1; pub 1 1; return 1 1; ack 1 1; result 1 returned", Rules{MinReturned: 1}, read, Green, 0},
		"nothing was given back":         {begin + one, Rules{MinRequeued: 1}, read, Inconclusive, 1},
		"no verdict was cut off":         {begin + one, Rules{MinUnresolved: 1}, read, Inconclusive, 1},
		"a verdict was cut off":          {begin + "invoke 1; pub 1 1; close 1; result 1 unknown", Rules{MinUnresolved: 1}, read, Green, 0},
		"a verdict came at last":         {begin + "invoke 1; pub 1 1; ack 1 1; close 1; result 1 confirmed; deliver 2 1 1; handle q 1; handled q 1; settle 2 1", Rules{MinUnresolved: 1}, read, Inconclusive, 1},
		"nothing was redelivered":        {begin + one, Rules{MinRedelivered: 1}, read, Inconclusive, 1},
		"the window was never half full": {begin + "invoke 1; result 1 unknown; invoke 2; result 2 unknown", Rules{MinPending: 2}, read, Inconclusive, 1},
		"the window was half full":       {begin + "invoke 1; invoke 2; result 1 unknown; result 2 unknown", Rules{MinPending: 2}, read, Green, 0},
		"the consumer never held much":   {begin + one, Rules{MinOutstanding: map[string]int{"q": 2}}, read, Inconclusive, 1},
		"the consumer held enough":       {begin + one, Rules{MinOutstanding: map[string]int{"q": 1}}, read, Green, 0},
		"too few waits":                  {begin + one, Rules{MaxWait: time.Second}, read, Inconclusive, 1},
		"a violation outweighs doubts":   {begin + "invoke 1", Rules{}, Facts{}, Red, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := play(t, c.script).Check(c.rules, c.facts)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict() != c.want || len(r.Doubts) != c.doubts {
				t.Errorf("%s with doubts %q, want %s with %d", r.Verdict(), r.Doubts, c.want, c.doubts)
			}
		})
	}
}

func TestWithoutAWireLedgerItsRulesAreNotChecked(t *testing.T) {
	r, err := play(t, "invoke 1; result 1 confirmed; handle q 1; handled q 1").Check(Rules{}, Facts{Drained: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(r.NotChecked, "S4") || !slices.Contains(r.NotChecked, "S6") || slices.Contains(r.NotChecked, "S1") || r.Verdict() != Green {
		t.Errorf("not checked: %v, verdict %s", r.NotChecked, r.Verdict())
	}
}
