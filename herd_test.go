package warren_test

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
)

// TestTwoHundredClientsComeBack is what the race detector has a look at.
func TestTwoHundredClientsComeBack(t *testing.T) { comeBackTogether(t, 200) }

// comeBackTogether is promise P8 for many at once: after the attempt that each makes without a wait the clients
// spread, the longer an outage lasts the more, and all are back soon after it.
func comeBackTogether(t *testing.T, clients int) {
	const outage = 2 * time.Minute
	inBubble(t, func(e *env) {
		var all []*warren.Client
		for range clients {
			client := e.dial()
			e.declare(client, warren.Topology{Queues: []warren.Queue{{Exclusive: true, Transient: true}}})
			all = append(all, client)
		}
		time.Sleep(time.Minute)
		e.resetDials()
		lost := time.Now()
		e.broker.Stop()
		time.Sleep(outage)
		e.broker.Start()
		begun := time.Now()
		for _, client := range all {
			if err := client.AwaitReady(e.ctx); err != nil {
				t.Fatal(err)
			}
		}
		back := time.Since(begun)
		synctest.Wait()
		dials := e.resetDials()
		within := func(from, to time.Duration) []time.Time {
			return slices.DeleteFunc(slices.Clone(dials), func(d time.Time) bool { return d.Sub(lost) < from || d.Sub(lost) >= to })
		}
		first, calm := densest(within(0, time.Minute), time.Second), densest(within(time.Minute, outage+time.Minute), time.Second)
		t.Logf("%d attempts: at most %d within a second, after a minute %d; all back after %v", len(dials), first, calm, back)
		// Each tries once in nine seconds, at a moment of its own: what chance may add to a second of so many is
		// five standard deviations.
		mean := float64(clients) / 9
		if most := int(mean + 5*math.Sqrt(mean)); calm > most {
			t.Errorf("%d attempts within a second after a minute, want at most %d, a ninth of the clients and what chance adds", calm, most)
		}
		if first > 4*clients {
			t.Errorf("%d attempts within the first second", first)
		}
		if most := clients * 30; len(dials) > most {
			t.Errorf("%d attempts in %v, want at most %d", len(dials), outage, most)
		}
		if back > 11*time.Second {
			t.Errorf("all back after %v, the longest wait is 10.5 s", back)
		}
		if n := len(e.broker.Queues()); n != clients {
			t.Errorf("%d queues", n)
		}
		for _, client := range all {
			e.close(client)
		}
	}, brokertest.WithHeartbeat(0))
}

// densest returns the most of sorted times that lie within any window of d.
func densest(times []time.Time, d time.Duration) (most int) {
	from := 0
	for i := range times {
		for times[i].Sub(times[from]) >= d {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}
