package recovery

import (
	"slices"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
)

func TestDefaultRetryIsFullJitterAndThenEven(t *testing.T) {
	const even, most = 7500 * time.Millisecond, 10500 * time.Millisecond
	bounds := [][2]time.Duration{
		{0, 500 * time.Millisecond}, {0, time.Second}, {0, 2 * time.Second}, {0, 4 * time.Second}, {0, 8 * time.Second},
		{even, most}, {even, most}, {even, most},
	}
	sums := make([]time.Duration, len(bounds))
	const rounds = 400
	for range rounds {
		p := DefaultRetry()
		for range 3 { // it may have been used before
			p.NextBackOff()
		}
		p.Reset()
		for i, b := range bounds {
			d := p.NextBackOff()
			if d <= b[0] || d > b[1] {
				t.Fatalf("wait %d is %s; want %s to %s", i, d, b[0], b[1])
			}
			sums[i] += d
		}
	}
	p, waited := DefaultRetry(), time.Duration(0)
	for waited < time.Hour {
		d := p.NextBackOff()
		if long := waited > 10*time.Minute; long != (d > 12*time.Second) || d > 18*time.Second {
			t.Errorf("after %s the wait is %s", waited, d)
		}
		waited += d
	}
	for i, b := range bounds {
		middle, width := (b[0]+b[1])/2, b[1]-b[0]
		if mean := sums[i] / rounds; (mean - middle).Abs() > width/10 {
			t.Errorf("wait %d is %s on average; want about %s", i, mean, middle)
		}
	}
}

func TestFullJitterPassesStopAndZero(t *testing.T) {
	if d := FullJitter(&backoff.StopBackOff{}).NextBackOff(); d != backoff.Stop {
		t.Errorf("stop became %s", d)
	}
	if d := FullJitter(&backoff.ZeroBackOff{}).NextBackOff(); d != 0 {
		t.Errorf("zero became %s", d)
	}
}

// TestTheBrokerIsFoundSoonAndNotByAllAtOnce plays outages with the default's waits: a thousand clients lose the broker
// at the same time. How long after its return do they find it, and how many within a second?
func TestTheBrokerIsFoundSoonAndNotByAllAtOnce(t *testing.T) {
	const clients, rounds = 1000, 10
	for _, c := range []struct {
		outage   time.Duration
		mean     time.Duration // at most, from the broker's return
		together int           // at most within one second
	}{
		{time.Second, 2 * time.Second, 800},
		{3 * time.Second, 4 * time.Second, 450},
		{5 * time.Second, 4 * time.Second, 400},
		{10 * time.Second, 5 * time.Second, 250},
		{12 * time.Second, 5 * time.Second, 250},
		{15 * time.Second, 5 * time.Second, 200},
		{20 * time.Second, 5 * time.Second, 200},
		{30 * time.Second, 5 * time.Second, 200},
		{time.Minute, 5 * time.Second, 200},
		{2 * time.Minute, 5 * time.Second, 200},
		{10 * time.Minute, 5 * time.Second, 200},
		{time.Hour, 8 * time.Second, 150},
	} {
		sum, most := time.Duration(0), 0
		for range rounds {
			var arrivals []time.Duration
			for range clients {
				at := time.Duration(0) // the first attempt is made at once
				for p := DefaultRetry(); at < c.outage; {
					at += p.NextBackOff()
				}
				arrivals = append(arrivals, at-c.outage)
				sum += at - c.outage
			}
			slices.Sort(arrivals)
			for from, to := 0, 0; to < len(arrivals); to++ {
				for arrivals[to]-arrivals[from] >= time.Second {
					from++
				}
				most = max(most, to-from+1)
			}
		}
		mean := (sum / (clients * rounds)).Round(10 * time.Millisecond)
		t.Logf("outage %v: found after %v at the mean, at most %d within a second", c.outage, mean, most)
		if mean > c.mean || most > c.together {
			t.Errorf("outage %v: found after %v at the mean, %d within a second; want at most %v, %d", c.outage, mean, most, c.mean, c.together)
		}
	}
}
