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

// DefaultRetry waits a random time up to a limit that doubles from 0.5 s to 8 s
// (full jitter), then between 7.5 s and 10.5 s for ten minutes, and from then on,
// without end, between 12 s and 18 s.
//
// So a broker that returns within ten minutes is found less than 5 s later at the
// mean, while of a thousand clients that lost it together about 110 arrive in
// each second. Once the attempts are spread, even waits find it sooner than as
// many that are drawn from zero.
func DefaultRetry() backoff.BackOff { return &defaultRetry{} }

const (
	firstLimit = 500 * time.Millisecond
	lastLimit  = 8 * time.Second
	evenWait   = 9 * time.Second // a sixth more or less
	longOutage = 10 * time.Minute
	longWait   = 15 * time.Second // a fifth more or less
)

type defaultRetry struct {
	limit  time.Duration // of the last wait, up to lastLimit
	waited time.Duration // in all
}

// NextBackOff implements [backoff.BackOff].
func (r *defaultRetry) NextBackOff() time.Duration {
	var wait time.Duration
	switch next := max(firstLimit, 2*r.limit); {
	case next <= lastLimit:
		r.limit = next
		wait = rand.N(next) + 1
	case r.waited < longOutage:
		wait = around(evenWait, evenWait/6)
	default:
		wait = around(longWait, longWait/5)
	}
	r.waited += wait
	return wait
}

// around draws evenly from what differs from d by less than spread.
func around(d, spread time.Duration) time.Duration { return d - spread + rand.N(2*spread) + 1 }

// Reset implements [backoff.BackOff].
func (r *defaultRetry) Reset() { *r = defaultRetry{} }

// Budget limits how long something is tried again. A zero field is no limit.
type Budget struct {
	Attempts int           // failures in a row
	Elapsed  time.Duration // since the loss, or the first refusal
}

// least returns the lower of both limits.
func (b Budget) least() int64 { return min(int64(b.Attempts), int64(b.Elapsed)) }

// Spent reports whether nothing is left after so many failures in this time.
func (b Budget) Spent(failures int, elapsed time.Duration) bool {
	return b.Attempts > 0 && failures >= b.Attempts || b.Elapsed > 0 && elapsed >= b.Elapsed
}
