package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestACorrectClientIsGreen(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			if r := simulate(seed, ""); r.Verdict() != Green {
				t.Errorf("%s", r)
			}
		})
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
	"another key":           "S2",
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
	"ack a redelivery at once":            "S13",
	"ack before the handler":              "S13",
	"hand out another's header":           "S2",
	"hand out another's key":              "S2",
	"hand out the last one again":         "S1",
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
	"consume twice for a while": "S17",
	"dial storm":                "L4",
	"forget qos":                "S14",
	"leave a cancel unanswered": "S17",
	"never consumes again":      "S17 L1",
	"skip a binding":            "S16",
}

// TestEveryMistakeIsCaught shows the checker's teeth: each mistake breaks a rule that
// is there to see it, in one of a few runs, for a mistake may find no occasion in one.
func TestEveryMistakeIsCaught(t *testing.T) {
	for mistake, rules := range mistakes {
		t.Run(mistake, func(t *testing.T) {
			t.Parallel()
			var runs []string
			for seed := range uint64(8) {
				r := simulate(seed, mistake)
				if slices.ContainsFunc(r.Broken(), func(rule string) bool { return slices.Contains(strings.Fields(rules), rule) }) {
					return
				}
				runs = append(runs, fmt.Sprint("seed ", seed, ": ", r.Verdict(), " ", r.Counts))
			}
			t.Errorf("broke none of %s:\n%s", rules, strings.Join(runs, "\n"))
		})
	}
}

// TestARunIsCheckedWhileItGoesOn shows that a correct client is never blamed for what is
// still to come, and that a mistake is seen long before the end.
func TestARunIsCheckedWhileItGoesOn(t *testing.T) {
	for mistake, rule := range map[string]string{
		"": "", "corrupt body": "S2", "not sent on close": "S3", "multiple one too far": "S6", "settle twice": "S12", "ack a failure": "S13",
	} {
		t.Run(mistake, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(5) {
				s := newSim(seed, mistake)
				var broken []string
				for at := 200 * ms; at < time.Second; at += 200 * ms {
					s.after(at, func() {
						r, err := s.ledger.CheckSoFar(simRules(s))
						if err != nil {
							t.Error(err)
							return
						}
						broken = append(broken, r.Broken()...)
					})
				}
				s.run(20 * time.Second)
				if mistake == "" && len(broken) > 0 {
					t.Errorf("seed %d: %v", seed, broken)
				}
				if mistake != "" && slices.Contains(broken, rule) {
					return
				}
			}
			if mistake != "" {
				t.Errorf("%s was not seen", rule)
			}
		})
	}
}
