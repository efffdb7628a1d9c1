package channel

import (
	"fmt"
	"testing"
	"time"
)

func TestReopening(t *testing.T) {
	var b reopening
	var waits []time.Duration
	for range 12 {
		waits = append(waits, b.lost(time.Second))
	}
	if got := fmt.Sprint(waits); got != "[0s 0s 0s 100ms 200ms 400ms 800ms 1.6s 3.2s 6.4s 10s 10s]" {
		t.Errorf("waits %s", got)
	}
	if got := b.lost(calmChannel); got != 0 {
		t.Errorf("after a calm life: %s", got)
	}
}
