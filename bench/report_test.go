package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/warren-mq/warren/bench/internal/client"
	"github.com/warren-mq/warren/bench/internal/job"
)

// at is a result of a rate, with a CPU time per message in microseconds.
func at(rate int64, cpu float64) job.Result {
	return job.Result{Messages: rate, Seconds: 1, CPU: cpu * float64(rate) / 1e6}
}

func TestMetNamesWhatIsMissed(t *testing.T) {
	o := outcome{results: map[string][]job.Result{
		client.Warren: {at(100, 1), at(1000, 1), at(1000, 1)},
		client.Peer:   {at(10, 4), at(100, 4), at(50, 4)},
		client.Raw:    {at(200, 0), at(1000, 0), at(1250, 0)},
	}}
	tests := []struct {
		target target
		want   string
	}{
		{target{}, "–"},
		{target{ratio: 10}, "yes"},
		{target{ratio: 10.1}, "not ratio"},
		{target{ceiling: 0.8, cpu: 0.25}, "yes"},
		{target{ceiling: 0.9, cpu: 0.2}, "not raw, CPU"},
		{target{allocs: -1, rabbitmqC: true}, "yes"}, // nothing is known of rabbitmq-c
	}
	for _, tt := range tests {
		o.target = tt.target
		if got := o.met(); got != tt.want {
			t.Errorf("target %q: %q, want %q", tt.target, got, tt.want)
		}
	}
}

func TestReportHasOneTableForEachGroup(t *testing.T) {
	var outcomes []outcome
	for _, sc := range scenarios(1) {
		outcomes = append(outcomes, outcome{scenario: sc, results: map[string][]job.Result{client.Warren: {at(5_000_000, 1)}, client.Peer: {at(50_000, 9)}}})
	}
	got := report(outcomes)
	if n := strings.Count(got, "### "); n != 5 {
		t.Errorf("%d tables, want 5:\n%s", n, got)
	}
	if !strings.Contains(got, "| publish 16 B | 5.00 M | 50.0 k | 100× |") {
		t.Errorf("no line for publish 16 B:\n%s", got)
	}
	for l := range strings.Lines(got) { // every row of a table has its header's columns
		if strings.HasPrefix(l, "| ") && strings.Count(l, "|") < 6 {
			t.Errorf("short row %q", l)
		}
	}
}

func TestReplaceMeasured(t *testing.T) {
	doc := "# Title\n\n" + measuredBegin + "\nold\n" + measuredEnd + "\n\nprose\n"
	got, err := replaceMeasured(doc, "new\n")
	if want := "# Title\n\n" + measuredBegin + "\nnew\n" + measuredEnd + "\n\nprose\n"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := replaceMeasured("# Title\n", "new"); err == nil {
		t.Error("a document without a place for the tables was accepted")
	}
}

func TestRecorderTableHasARowForEachSize(t *testing.T) {
	table, err := recorderTable()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(table, "\n| "); n != 5 {
		t.Errorf("%d rows with the header, want 5:\n%s", n, table)
	}
	t.Log(table)
}

func TestShareOfOneAlone(t *testing.T) {
	outcomes := []outcome{
		{scenario: scenario{name: "one"}, results: map[string][]job.Result{client.Warren: {at(100, 1), at(200, 1)}}},
		{scenario: scenario{name: "many", target: target{of: "one"}}, results: map[string][]job.Result{client.Warren: {at(90, 1), at(170, 1)}}},
	}
	compareAlone(outcomes)
	if got := outcomes[1].met(); got != "not alone" || outcomes[0].alone != nil {
		t.Errorf("%q with a share of %v", got, outcomes[1].share())
	}
	for _, sc := range scenarios(1) {
		if sc.target.of == "" {
			continue
		}
		if !slices.ContainsFunc(scenarios(1), func(other scenario) bool { return other.name == sc.target.of }) {
			t.Errorf("%s: there is no scenario %q", sc.name, sc.target.of)
		}
	}
}
