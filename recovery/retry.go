package recovery

import (
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// FullJitter draws each wait of b evenly between zero and what b says, which
// spreads clients that lost the same broker better than a narrower range.
func FullJitter(b backoff.BackOff) backoff.BackOff { return jittered{b} }

type jittered struct{ backoff.BackOff }

// NextBackOff implements [backoff.BackOff].
func (j jittered) NextBackOff() time.Duration {
	d := j.BackOff.NextBackOff()
	if d <= 0 { // at once, or backoff.Stop
		return d
	}
	return rand.N(d) + 1
}

// schedule decides when the next attempt may be made. It is pure: the
// supervisor tells it what happened, and does the waiting.
type schedule struct {
	policy backoff.BackOff
	stable time.Duration
	slow   time.Duration
	calm   bool // the connection lived long enough to be retried at once
	tried  int  // attempts since the loss
}

// minCalm is the uptime below which a loss is retried with the policy's wait,
// not at once: else a server that accepts and hangs up would be hammered.
const minCalm = time.Second

// lost notes that a connection was lost after uptime.
func (s *schedule) lost(uptime time.Duration) {
	if uptime >= s.stable {
		s.policy.Reset()
	}
	s.tried = 0
	s.calm = uptime >= minCalm
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
