package chaos

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/topology"
)

// singleFaults are all faults of one broker and of the link to it.
var singleFaults = []fault{
	stopped, closedByOperator, pausedBelowHeartbeat, pausedBeyondHeartbeat, memoryAlarm, queueDeleted,
	reset, deafBroker, deafClient, blackhole, endToBroker, endToClient, confirmsHeld, confirmsDropped, slowLink, oneByteLink,
}

// allFaults are those and what takes longer.
var allFaults = append(slices.Clone(singleFaults), bytesToBrokerLost, bytesToClientLost, longMemoryAlarm)

// TestEveryFaultUnderLoad breaks everything that can break below one client, in random order.
func TestEveryFaultUnderLoad(t *testing.T) {
	b := startBroker(t, docker.MainVersion)
	l := startLoad(t, b, plan{queue: topology.Classic, workers: 1}, b.URL())
	l.run(t, shuffled(t, singleFaults))
}

// streamUnderLoad has the consumer of a stream go on where it was, again and again.
func streamUnderLoad(t *testing.T, b *broker) {
	leaveNoQueue(t, b)
	l := startLoad(t, b, plan{queue: topology.Stream, messages: 3000, rate: 1000, workers: 1}, b.URL())
	l.run(t, shuffled(t, []fault{reset, closedByOperator, reset, deafClient, reset}))
}

// versions are the RabbitMQ versions that the long scenarios run on.
func versions() []string {
	if list := strings.Fields(os.Getenv("WARREN_VERSIONS")); len(list) > 0 {
		return list
	}
	return []string{docker.MainVersion}
}

// TestLongScenarios repeats the faults with other queues, windows and prefetches, and kills many times.
func TestLongScenarios(t *testing.T) {
	if !long() {
		t.Skip("long scenarios run with make chaos")
	}
	narrow, wide := plan{window: 1, prefetch: 1, workers: 1, rate: 500}, plan{window: 5000, prefetch: 2000, rate: 8000}
	some := []fault{handlersWait, reset, deafClient, closedByOperator, killed}
	scenarios := []struct {
		name   string
		plan   plan
		faults []fault
	}{
		{"classic, window and prefetch of one", narrow.of(topology.Classic), some},
		{"classic, window of 5000, prefetch of 2000", wide.of(topology.Classic), some},
		{"stream, window and prefetch of one", narrow.of(topology.Stream), some},
		{"stream, window of 5000, prefetch of 2000", wide.of(topology.Stream), some},
		{"window and prefetch of one", narrow, append(slices.Clone(allFaults), handlersWait, killed)},
		{"window of 5000, prefetch of 2000", wide, append(slices.Clone(singleFaults), handlersWait)},
		{"window of 5000, prefetch of 2000, killed 10 times", wide, repeat(10, killed)},
		{"stream, with kills", plan{queue: topology.Stream}, slices.Concat(singleFaults, repeat(3, killed))},
		{"large messages", plan{size: 1 << 20, rate: 50, window: 20, prefetch: 20}, singleFaults},
		{"killed 50 times", plan{messages: 100_000, workers: 1}, repeat(50, killed)},
		{"everything twice, with kills", plan{queue: topology.Classic}, slices.Concat(allFaults, allFaults, repeat(5, killed))},
	}
	for _, version := range versions() {
		for _, s := range scenarios {
			t.Run(fmt.Sprintf("%s/%s", version, s.name), func(t *testing.T) {
				b := startBroker(t, version)
				l := startLoad(t, b, s.plan, b.URL())
				l.run(t, shuffled(t, s.faults))
			})
		}
	}
}
