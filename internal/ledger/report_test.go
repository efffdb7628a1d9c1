package ledger

import (
	"strings"
	"testing"
)

func TestReportTellsTheLifeOfAMessage(t *testing.T) {
	r, err := play(t, begin+"invoke 1; pub 1 1; ack 1 1; result 1 confirmed; fault cut; effect cut; end cut; redeliver 2 1 1; rehandle q 1; failed q 1; settle 2 1").
		Check(Rules{}, Facts{Drained: true})
	if err != nil {
		t.Fatal(err)
	}
	const want = "p1/1#1: 60ms invoke; 70ms publish e1/1; 80ms ack e1/1; 90ms confirmed; 100ms [cut]; 120ms [/cut]; " +
		"130ms deliver (redelivered) e2/1; 140ms handle from q (redelivered); 150ms handled from q (failed); 160ms ack e2/1"
	if len(r.Violations) != 1 || r.Violations[0].Life != want {
		t.Errorf("got\n%s\nwant the life\n%s", r, want)
	}
	for _, line := range []string{"verdict: red", "S13 (client): acknowledged 1 times, handlers succeeded 0 times",
		"not checked: S7, S8 (how often), S9, S14 (as declared), S16, S17 (as registered), S17 (at the broker), L1 (in time), L2, L3, " +
			"L4 (how many), L4 (spread), L5 (calls), L5 (results in time)"} {
		if !strings.Contains(r.String(), line+"\n") {
			t.Errorf("no line %q in\n%s", line, r)
		}
	}
}

func TestReportTellsTenOfManyAndCountsTheRest(t *testing.T) {
	l := New(1)
	p := l.Publisher()
	for range 25 {
		p.Next(0, 0)
	}
	r, err := l.Check(Rules{}, Facts{Drained: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Violations) != 10 || r.Counts["L5"] != 25 || !strings.Contains(r.String(), "L5: 25 violations in all") {
		t.Errorf("%d told, %v counted:\n%s", len(r.Violations), r.Counts, r)
	}
}
