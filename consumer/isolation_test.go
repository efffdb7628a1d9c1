package consumer

import (
	"testing"
	"time"
)

func TestIsolation(t *testing.T) {
	i, now := isolation{}, time.Now()
	for n := range 12 {
		i.refused(now)
		if want := min(5*time.Second<<n, time.Hour); i.wait.Bound() != want || i.due.Sub(now) > want || i.due.Sub(now) < want-want/8 {
			t.Errorf("attempt %d: waits %s; want %s", n+1, i.due.Sub(now), want)
		}
	}
}
