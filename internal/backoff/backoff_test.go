package backoff

import (
	"math"
	"testing"
	"time"
)

func TestBound(t *testing.T) {
	const first, limit = 50 * time.Millisecond, 5 * time.Second
	for n, want := range map[int]time.Duration{
		-1: 0, 0: 0, 1: first, 2: 2 * first, 7: 64 * first, 8: limit, math.MaxInt: limit,
	} {
		if got := Bound(n, first, limit); got != want {
			t.Errorf("Bound(%d) = %s; want %s", n, got, want)
		}
	}
	if got := Bound(math.MaxInt, 1, math.MaxInt64); got != math.MaxInt64 {
		t.Errorf("without a limit: %d", got)
	}
	if got := Bound(math.MaxInt, 0, limit); got != 0 {
		t.Errorf("from zero: %s", got)
	}
	for bound := range 8 * time.Nanosecond {
		if got := Jitter(bound); got != bound {
			t.Errorf("Jitter(%d) = %d", bound, got)
		}
	}
	if got := Bound(3, limit, first); got != first {
		t.Errorf("above its limit: %s; want %s", got, first)
	}
}

func TestWaitDoublesAcrossReasons(t *testing.T) {
	var w Wait
	for i, step := range []struct{ first, limit, bound time.Duration }{
		{time.Second, time.Minute, time.Second},
		{time.Second, time.Minute, 2 * time.Second},
		{10 * time.Second, time.Minute, 10 * time.Second},
		{time.Second, 15 * time.Second, 15 * time.Second},
		{0, time.Minute, 30 * time.Second},
	} {
		d := w.Next(step.first, step.limit)
		if w.Bound() != step.bound || d != step.bound {
			t.Errorf("step %d: %s of %s; want %s", i, d, w.Bound(), step.bound)
		}
	}
}

// A thousand clients that fail together at every attempt are spread evenly over an eighth of the bound.
func TestNoHerd(t *testing.T) {
	const clients, bound = 1000, 8 * time.Second
	for name, draw := range map[string]func(time.Duration) time.Duration{
		"jitter": Jitter, "pace": func(d time.Duration) time.Duration { return NewPace().Of(d) },
	} {
		var tenths [10]int
		for range clients {
			var w Wait
			var d time.Duration
			for range 4 {
				d = draw(w.Next(time.Second, time.Minute))
			}
			if d < bound-bound/8 || d > bound {
				t.Fatalf("waits %s; want between %s and %s", d, bound-bound/8, bound)
			}
			tenths[min(9, (d-(bound-bound/8))*10/(bound/8))]++
		}
		for i, n := range tenths {
			if n < 50 || n > 170 {
				t.Errorf("%s: %d of %d clients in tenth %d: %v", name, n, clients, i, tenths)
			}
		}
	}
	if got := (Pace{}).Of(bound); got != bound {
		t.Errorf("the zero pace makes %s of %s", got, bound)
	}
}
