package publisher

import "time"

// breaker slows down the reopening of a channel that dies again and again: a
// few times in a row are free, from then on it is once a second.
type breaker struct {
	left float64 // reopenings that are free
	at   time.Time
}

const (
	breakerBurst  = 8
	breakerRefill = time.Second // for one
)

func newBreaker(now time.Time) *breaker { return &breaker{left: breakerBurst, at: now} }

// trip notes that the channel died, and returns how long to wait before the next.
func (b *breaker) trip(now time.Time) time.Duration {
	b.left = min(breakerBurst, b.left+float64(now.Sub(b.at))/float64(breakerRefill)) - 1
	b.at = now
	if b.left >= 0 {
		return 0
	}
	return time.Duration(-b.left * float64(breakerRefill))
}
