package chaos

import (
	"context"
	"time"
)

// pollInterval is between two looks at something that has no event; those that run a command in a container
// take a second of a core each, which the broker may need more.
const (
	pollInterval    = 50 * time.Millisecond
	commandInterval = time.Second
)

// eventually asks until the answer is yes, and returns false when it was not within d.
func eventually(ctx context.Context, d time.Duration, ask func() bool) bool {
	return eventuallyEvery(ctx, pollInterval, d, ask)
}

// eventuallyEvery is eventually with an interval of its own.
func eventuallyEvery(ctx context.Context, interval, d time.Duration, ask func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for !ask() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ask()
		}
	}
	return true
}
