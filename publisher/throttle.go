package publisher

import "time"

// throttle slows down the reopening of a channel that dies again and again: a
// burst is free, from then on it is once a second.
type throttle struct {
	burst float64
	left  float64 // of the burst
	at    time.Time
}

const (
	burst          = 8
	isolatingBurst = 64          // each death makes progress, and a few messages need no more
	refill         = time.Second // for one
)

func newThrottle(burst float64, now time.Time) *throttle {
	return &throttle{burst: burst, left: burst, at: now}
}

// take notes that the channel died, and returns how long to wait before the next.
func (b *throttle) take(now time.Time) time.Duration {
	b.left = min(b.burst, b.left+float64(now.Sub(b.at))/float64(refill)) - 1
	b.at = now
	if b.left >= 0 {
		return 0
	}
	return time.Duration(-b.left * float64(refill))
}
