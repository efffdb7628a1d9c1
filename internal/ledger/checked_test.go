package ledger

import (
	"slices"
	"testing"
	"time"
)

// everything is a run with an input for every rule.
const everything = begin + one + "call close 1 2; wait"

func everyInput() (Rules, Facts) {
	return Rules{
			Replay: true, Ordered: []string{"q"}, Prefetch: map[string]int{"q": 10}, Consumers: map[string]int{"q": 1},
			MaxPublications: 1, MaxPending: 1, MaxDials: 1, MaxWait: 50 * time.Second, Recovery: time.Second, Deadline: time.Minute,
		}, Facts{
			Drained: true, Declared: []string{"q"}, Actual: []string{"q"}, Registered: []string{"q"}, Active: []string{"q"},
			Before: Resources{Goroutines: 1}, After: Resources{Goroutines: 1}, Waits: spreadWaits(50),
		}
}

func notChecked(t *testing.T, script string, rules Rules, facts Facts) []string {
	t.Helper()
	r, err := play(t, script).Check(rules, facts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict() == Red {
		t.Errorf("%s", r)
	}
	return r.NotChecked
}

// TestARuleWithoutItsInputsIsNotChecked goes through what rules and facts may lack.
func TestARuleWithoutItsInputsIsNotChecked(t *testing.T) {
	rules, facts := everyInput()
	if got := notChecked(t, everything, rules, facts); len(got) > 0 {
		t.Errorf("with every input, not checked: %q", got)
	}
	for _, c := range []struct {
		without string
		take    func(*Rules, *Facts)
		want    []string
	}{
		{"drained queues", func(_ *Rules, f *Facts) { f.Drained = false }, []string{"S1", "S13 (every success is acknowledged)", "L1 (nothing is left)"}},
		{"replay", func(r *Rules, _ *Facts) { r.Replay = false }, []string{"S7"}},
		{"a limit of publishes", func(r *Rules, _ *Facts) { r.MaxPublications = 0 }, []string{"S8 (how often)"}},
		{"ordered queues", func(r *Rules, _ *Facts) { r.Ordered = nil }, []string{"S9"}},
		{"declared prefetches", func(r *Rules, _ *Facts) { r.Prefetch = nil }, []string{"S14 (as declared)"}},
		{"a look at the topology", func(_ *Rules, f *Facts) { f.Declared, f.Actual = nil, nil }, []string{"S16"}},
		{"a look at the consumers", func(_ *Rules, f *Facts) { f.Registered, f.Active = nil, nil }, []string{"S17 (at the broker)"}},
		{"registered consumers", func(r *Rules, _ *Facts) { r.Consumers = nil }, []string{"S17 (as registered)"}},
		{"a time to recover", func(r *Rules, _ *Facts) { r.Recovery = 0 }, []string{"L1 (in time)"}},
		{"a look at the process", func(_ *Rules, f *Facts) { f.Before = Resources{} }, []string{"L2"}},
		{"a limit of pending publishes", func(r *Rules, _ *Facts) { r.MaxPending = 0 }, []string{"L3"}},
		{"a limit of connections", func(r *Rules, _ *Facts) { r.MaxDials = 0 }, []string{"L4 (how many)"}},
		{"a longest wait", func(r *Rules, _ *Facts) { r.MaxWait = 0 }, []string{"L4 (spread)"}},
		{"waits", func(_ *Rules, f *Facts) { f.Waits = nil }, []string{"L4 (spread)"}},
		{"a deadline", func(r *Rules, _ *Facts) { r.Deadline = 0 }, []string{"L5 (results in time)"}},
	} {
		rules, facts := everyInput()
		c.take(&rules, &facts)
		if got := notChecked(t, everything, rules, facts); !slices.Equal(got, c.want) {
			t.Errorf("without %s, not checked: %q, want %q", c.without, got, c.want)
		}
	}
}

// TestWithoutAnyInputAlmostNothingIsChecked shows what the application ledger alone can tell.
func TestWithoutAnyInputAlmostNothingIsChecked(t *testing.T) {
	got := notChecked(t, "invoke 1; result 1 unknown", Rules{}, Facts{})
	var checked []string
	for _, inv := range invariants {
		if !slices.Contains(got, inv.String()) {
			checked = append(checked, inv.String())
		}
	}
	if want := []string{"S2", "S3", "L5"}; !slices.Equal(checked, want) {
		t.Errorf("checked: %q, want %q", checked, want)
	}
}
