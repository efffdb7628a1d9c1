// Package backoff holds the waits between attempts: they double from a first one to a limit, and each is drawn
// from the upper eighth of what it may be, so that clients that failed together do not try again together.
package backoff

import (
	"math/rand/v2"
	"time"
)

// Wait is the wait after failures in a row. The zero value has seen none.
type Wait struct{ bound time.Duration }

// Next returns the longest wait after a further failure, for [Jitter] or a [Pace] to shorten. first and limit may
// differ from those of the last call.
func (w *Wait) Next(first, limit time.Duration) time.Duration {
	w.bound = min(max(first, 2*w.bound), limit)
	return w.bound
}

// Again doubles the last wait, up to limit.
func (w *Wait) Again(limit time.Duration) time.Duration { return w.Next(0, limit) }

// Bound returns what the last wait could have been at most.
func (w *Wait) Bound() time.Duration { return w.bound }

// After returns the wait after so many failures in a row; none without any.
func After[N int | int64](failures N, first, limit time.Duration) time.Duration {
	return Jitter(Bound(failures, first, limit))
}

// Bound returns the longest wait after so many failures in a row; 0 without any.
func Bound[N int | int64](failures N, first, limit time.Duration) time.Duration {
	if failures <= 0 {
		return 0
	}
	bound := min(first, limit)
	for ; failures > 1 && 0 < bound && bound < limit; failures-- {
		if bound > limit/2 {
			return limit
		}
		bound *= 2
	}
	return bound
}

// Jitter shortens a wait by up to an eighth, evenly.
func Jitter(bound time.Duration) time.Duration {
	if bound < 8 {
		return bound
	}
	return bound - rand.N(bound/8)
}

// Pace shortens all waits of one client by the same share, so that what failed together there is tried again
// together, and not with other clients. The zero value shortens none.
type Pace struct{ less float64 }

// NewPace draws a share of up to an eighth.
func NewPace() Pace { return Pace{rand.Float64() / 8} }

// Of returns the wait at this pace.
func (p Pace) Of(bound time.Duration) time.Duration {
	return bound - time.Duration(p.less*float64(bound))
}
