package channel

import (
	"time"

	"github.com/warren-mq/warren/internal/backoff"
)

// reopening slows a channel down that the broker closes again and again, for
// example because something is published to an exchange that does not exist.
// It is pure.
type reopening struct{ losses int }

const (
	freeReopens = 3                      // in a row, without a wait
	firstReopen = 100 * time.Millisecond // the wait after that, doubling
	lastReopen  = 10 * time.Second
	calmChannel = 10 * time.Second // the life after which a loss counts as the first
)

// lost notes that a channel was lost after it lived for uptime, and returns
// how long to wait at most before the next is opened.
func (b *reopening) lost(uptime time.Duration) time.Duration {
	if uptime >= calmChannel {
		b.losses = 0
	}
	b.losses++
	return backoff.Bound(b.losses-freeReopens, firstReopen, lastReopen)
}
