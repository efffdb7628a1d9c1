package consumer

import (
	"testing"
	"testing/synctest"
	"time"
)

// Who stops a consumer within some time has a fifth of it left to see what was given back, two seconds at most.
func TestAHurryLeavesTimeToGiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for within, want := range map[time.Duration]time.Duration{
			5 * time.Second: 4 * time.Second, 10 * time.Second: 8 * time.Second, time.Minute: 58 * time.Second,
		} {
			c := &Consumer{hurries: make(chan time.Time, 1)}
			begun := time.Now()
			c.hurry(begun.Add(within))
			c.hurry(begun.Add(time.Hour)) // the first counts
			if got := (<-c.hurries).Sub(begun); got != want {
				t.Errorf("within %s: handlers have %s, want %s", within, got, want)
			}
		}
	})
}
