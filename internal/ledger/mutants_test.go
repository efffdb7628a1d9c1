package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// seeds is how many runs of the model a test looks at.
func seeds(t *testing.T, n uint64) uint64 {
	if testing.Short() {
		return n / 2
	}
	return n
}

func TestACorrectClientIsGreen(t *testing.T) {
	for seed := range seeds(t, 40) {
		if r := simulate(seed, ""); r.Verdict() != Green {
			t.Fatalf("seed %d:\n%s", seed, r)
		}
	}
}

// mistakes are what a client can do wrong, each with the rules that see it.
var mistakes = map[string]string{
	// publishing
	"confirmed on close":    "S6",
	"corrupt body":          "S2",
	"cross-talk":            "S2",
	"drop a confirm":        "S4 S8 L5",
	"forget on close":       "S7",
	"forget sequence reset": "S6",
	"ignores multiple":      "S4 S8 L5",
	"lose a nack":           "S4 S7 L5",
	"multiple one short":    "S4 S8 L5",
	"multiple one too far":  "S6",
	"nack as ack":           "S6",
	"new before replay":     "S7",
	"not sent on close":     "S3",
	"replay out of order":   "S7",
	"republish acked":       "S8",
	"skip one in replay":    "S7",
	"swallow a return":      "S5 S6",
	"two results":           "S4",
	"unbounded":             "L3",
	// consuming
	"ack a failure":                       "S13",
	"ack a stale delivery":                "S12 S13",
	"ack before the handler":              "S13",
	"ack without handling":                "S13",
	"drop an unknown consumer's delivery": "S17",
	"handle out of order":                 "S9",
	"handle stale deliveries":             "S12 S13",
	"handle twice":                        "S11",
	"hide redelivered":                    "S10",
	"multiple ack after a cancel":         "S13",
	"multiple ack over open ones":         "S12 S13",
	"never ack one":                       "S13",
	"settle twice":                        "S12",
	// recovering
	"consume twice":             "S17",
	"dial storm":                "L4",
	"forget qos":                "S14",
	"leave a cancel unanswered": "S17",
	"never consumes again":      "S17 L1",
	"skip a binding":            "S16",
}

// TestEveryMistakeIsCaught shows the checker's teeth: for each mistake there are runs
// that break a rule which is there to see it. A mistake may find no occasion in a run.
func TestEveryMistakeIsCaught(t *testing.T) {
	for mistake, rules := range mistakes {
		t.Run(mistake, func(t *testing.T) {
			var runs []string
			caught := uint64(0)
			n := seeds(t, 4)
			for seed := range n {
				r := simulate(seed, mistake)
				runs = append(runs, fmt.Sprint("seed ", seed, ": ", r.Verdict(), " ", r.Counts))
				if slices.ContainsFunc(r.Broken(), func(rule string) bool {
					return slices.Contains(strings.Fields(rules), rule)
				}) {
					caught++
				}
			}
			t.Logf("caught in %d of %d runs", caught, n)
			if caught == 0 || caught < n/3 {
				t.Errorf("broke none of %s:\n%s", rules, strings.Join(runs, "\n"))
			}
		})
	}
}
