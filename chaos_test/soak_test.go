package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/topology"
)

// TestSoak runs random scenarios, one after the other, until the time is over. Each has a seed of its own, one
// more than the last, so that a failed one is repeated alone.
func TestSoak(t *testing.T) {
	text := os.Getenv(soakVariable)
	if text == "" {
		t.Skip("random scenarios run with make soak")
	}
	limit, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", soakVariable, err)
	}
	begun, last := time.Now(), false
	for seed := firstSeed(t); !last && !t.Failed(); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := drawn(seeded(seed))
			t.Logf("%v", s)
			b := startBroker(t, s.version)
			startLoad(t, b, s.plan, b.URL()).run(t, s.faults)
		})
		last = time.Since(begun) >= limit
	}
}

// scenario is what happens to one load.
type scenario struct {
	version string
	plan    plan
	faults  []fault
}

// String shows the scenario in two lines.
func (s scenario) String() string {
	names := make([]string, len(s.faults))
	for i, f := range s.faults {
		names[i] = f.name
	}
	p := s.plan
	return fmt.Sprintf("RabbitMQ %s, %s queue, %d messages a second of %d bytes, window %d, prefetch %d, %d workers:\n%q",
		s.version, p.queue, p.rate, p.size, p.window, p.prefetch, p.workers, names)
}

// soakFaults is how many faults a random scenario has.
const soakFaults = 10

// drawn makes a scenario up.
func drawn(r *rand.Rand) scenario {
	s := scenario{version: pick(r, versions()...), plan: plan{
		queue:    pick(r, topology.Classic, topology.Quorum, topology.Stream),
		window:   pick(r, 1, 10, 1000, 5000),
		prefetch: pick(r, 1, 20, 200, 2000),
		workers:  pick(r, 1, 2),
		size:     pick(r, 64, 200, 4000, 200_000),
		rate:     300, // what a prefetch of 1 keeps up with
	}}
	if s.plan.prefetch > 1 {
		s.plan.rate = 1000
	}
	if s.plan.size > 100_000 {
		s.plan.rate = 100
	} else if s.plan.window > s.plan.rate && s.plan.prefetch > 1 {
		s.plan.rate = s.plan.window / 2 // enough to fill it during a silence of a heartbeat
	}
	all := append([]fault{killed}, allFaults...)
	for range soakFaults {
		f := pick(r, all...)
		if r.IntN(3) == 0 { // on a link that is poor already
			f = during(pick(r, slowLink, oneByteLink), pick(r, killed, stopped, reset, closedByOperator, queueDeleted, endToBroker, endToClient))
		}
		s.faults = append(s.faults, f)
	}
	s.faults = append(s.faults, handlersWait) // else a large prefetch is never filled
	return s
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func TestASeedMakesOneScenario(t *testing.T) {
	draw := func(seed uint64) string { return drawn(rand.New(rand.NewPCG(seed, 0))).String() }
	if first, again := draw(1), draw(1); first != again || first == draw(2) {
		t.Errorf("%s\n%s\n%s", first, again, draw(2))
	}
	if s := draw(1) + draw(2) + draw(3); !strings.Contains(s, " during ") {
		t.Errorf("no faults overlap:\n%s", s)
	}
}
