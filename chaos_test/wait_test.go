package chaos

import (
	"context"
	"time"
)

// pollInterval is between two looks at something that has no event.
const pollInterval = 50 * time.Millisecond

// eventually asks until the answer is yes, and returns false when it was not within d.
func eventually(ctx context.Context, d time.Duration, ask func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(pollInterval)
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
