package session

import (
	"testing"
	"time"

	"github.com/warren-mq/warren/recovery"

	"github.com/cenkalti/backoff/v4"
)

// counting is a policy that waits 1 s, 2 s, 3 s, …; it stops after limit, if any.
type counting struct{ n, limit int }

func (c *counting) NextBackOff() time.Duration {
	c.n++
	if c.limit > 0 && c.n > c.limit {
		return backoff.Stop
	}
	return time.Duration(c.n) * time.Second
}

func (c *counting) Reset() { c.n = 0 }

func TestSchedule(t *testing.T) {
	const stop = -time.Second
	tests := []struct {
		name      string
		limit     int // of the policy
		uptime    time.Duration
		endpoints int
		last      []class // before each attempt
		want      []time.Duration
	}{
		{"each endpoint at once, then the policy", 0, time.Hour, 2, []class{passing, passing, passing, passing}, []time.Duration{0, 0, time.Second, 2 * time.Second}},
		{"a connection that did not last is not retried at once", 0, minCalm - 1, 2, []class{passing, passing}, []time.Duration{time.Second, 2 * time.Second}},
		{"after a refusal the slow lane", 0, time.Hour, 3, []class{passing, refused, refused, passing}, []time.Duration{0, 31 * time.Second, 32 * time.Second, 3 * time.Second}},
		{"the policy gives up", 2, 0, 1, []class{passing, passing, passing}, []time.Duration{time.Second, 2 * time.Second, stop}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := schedule{policy: &counting{limit: test.limit}, stable: time.Minute, slow: 30 * time.Second}
			s.lost(test.uptime)
			for i, last := range test.last {
				d, ok := s.next(test.endpoints, last)
				if !ok {
					d = stop
				}
				if d != test.want[i] {
					t.Errorf("wait %d: %s; want %s", i, d, test.want[i])
				}
			}
		})
	}
}

func TestScheduleIsResetOnlyAfterAStableUptime(t *testing.T) {
	s := schedule{policy: &counting{}, stable: time.Minute}
	var waits []time.Duration
	for _, uptime := range []time.Duration{0, time.Millisecond, 59 * time.Second, time.Minute} {
		s.lost(uptime)
		d, _ := s.next(0, passing)
		waits = append(waits, d)
	}
	want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, time.Second}
	for i := range want {
		if waits[i] != want[i] {
			t.Errorf("waits %v; want %v", waits, want)
			break
		}
	}
}

func TestBudgets(t *testing.T) {
	type failure struct {
		class   class
		elapsed time.Duration
		another bool
	}
	tests := []struct {
		name    string
		budgets [classes]recovery.Budget
		failed  []failure
	}{
		{"none", [classes]recovery.Budget{}, []failure{{passing, 1000 * time.Hour, true}, {refused, 1000 * time.Hour, true}}},
		{"what is hopeless is not tried again", [classes]recovery.Budget{}, []failure{{hopeless, 0, false}}},
		{"attempts", [classes]recovery.Budget{passing: {Attempts: 2}}, []failure{{passing, 0, true}, {refused, 0, true}, {passing, 0, false}}},
		{"elapsed", [classes]recovery.Budget{passing: {Elapsed: time.Minute}}, []failure{{passing, 59 * time.Second, true}, {refused, time.Hour, true}, {passing, time.Minute, false}}},
		{"authentication by itself", [classes]recovery.Budget{refused: {Attempts: 1}}, []failure{{passing, 0, true}, {passing, 0, true}, {refused, 0, false}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := schedule{policy: &counting{}, budgets: test.budgets}
			s.lost(0)
			for i, f := range test.failed {
				if another := s.failed(f.class, f.elapsed); another != f.another {
					t.Errorf("failure %d: another %t; want %t", i, another, f.another)
				}
			}
			s.lost(0) // a new loss has budgets of its own
			if !s.failed(passing, 0) && test.budgets[passing].Attempts != 1 {
				t.Error("the budget is not renewed")
			}
		})
	}
}
