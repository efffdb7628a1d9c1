package session

import (
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren/internal/hook"
	"github.com/warren-mq/warren/recovery"
)

// policyOf returns the policy that the application's function makes. One that
// ends its goroutine instead of answering is replaced by the default.
func policyOf(make func() backoff.BackOff) backoff.BackOff {
	b, err := hook.Call(func() (backoff.BackOff, error) { return make(), nil })
	if err != nil {
		return recovery.DefaultRetry()
	}
	return answering{BackOff: b, otherwise: recovery.DefaultRetry()}
}

// answering is a policy of the application that may end its goroutine.
type answering struct {
	backoff.BackOff
	otherwise backoff.BackOff
}

// NextBackOff implements [backoff.BackOff].
func (a answering) NextBackOff() time.Duration {
	d, err := hook.Call(func() (time.Duration, error) { return a.BackOff.NextBackOff(), nil })
	if err != nil {
		return a.otherwise.NextBackOff()
	}
	return d
}

// Reset implements [backoff.BackOff].
func (a answering) Reset() {
	_ = hook.Do(a.BackOff.Reset) // the next answer counts
	a.otherwise.Reset()
}

// schedule decides when the next attempt to connect may be made, and whether.
// It is pure: the supervisor tells it what happened, and does the waiting.
type schedule struct {
	policy   backoff.BackOff
	stable   time.Duration
	slow     time.Duration
	budgets  [classes]recovery.Budget
	calm     bool // the connection lived long enough to be retried at once
	tried    int  // attempts since the loss
	failures [classes]int
}

// minCalm is the uptime below which a loss is retried with the policy's wait,
// not at once: else a server that accepts and hangs up would be hammered.
const minCalm = time.Second

// lost notes that a connection was lost after uptime.
func (s *schedule) lost(uptime time.Duration) {
	if uptime >= s.stable {
		s.policy.Reset()
	}
	s.tried, s.failures = 0, [classes]int{}
	s.calm = uptime >= minCalm
}

// failed notes that an attempt failed. It reports whether another may be made.
func (s *schedule) failed(c class, elapsed time.Duration) bool {
	s.failures[c]++
	return c != hopeless && !s.budgets[c].Spent(s.failures[c], elapsed)
}

// next returns how long to wait before the coming attempt; false gives up.
// endpoints is how many there are: each is tried once without a wait.
func (s *schedule) next(endpoints int, last class) (time.Duration, bool) {
	s.tried++
	if s.calm && s.tried <= endpoints && last != refused {
		return 0, true
	}
	d := s.policy.NextBackOff()
	if d == backoff.Stop {
		return 0, false
	}
	if last == refused {
		d += s.slow
	}
	return d, true
}
