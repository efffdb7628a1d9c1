//go:build unix && !race

package brokertest

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// TestTwoHundredThousandMessagesASecond holds the broker to what one processor has for that: 5 µs for each message, the
// test's own part of it included, so that two processors may be idle half of the time. What others take of a machine
// counts against no one's processor time, and what they take of its caches is why the best of some rounds counts.
func TestTwoHundredThousandMessagesASecond(t *testing.T) {
	const messages, rounds, enough = 100_000, 10, time.Second / 200_000
	for name, dial := range map[string]func(*Broker) (net.Conn, error){
		"memory":   func(b *Broker) (net.Conn, error) { return b.DialContext(t.Context(), "tcp", "") },
		"loopback": func(b *Broker) (net.Conn, error) { return net.Dial("tcp", b.Addr()) },
	} {
		best := time.Hour
		for round := 0; round < rounds && best > enough; round++ {
			var before time.Duration
			b := NewBroker()
			publishToConsume(t, messages, func() (net.Conn, error) { return dial(b) }, func() { before = processorTime() })
			best = min(best, (processorTime()-before)/messages)
			b.Close()
		}
		t.Logf("%s: %v of processor time for a message", name, best)
		if best > enough {
			t.Errorf("%s: %v of processor time for a message, want %v at most", name, best, enough)
		}
	}
}

// processorTime is what the process has used so far.
func processorTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // cannot fail with these arguments
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
