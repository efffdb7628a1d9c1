package brokertest

import (
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// TestDelayOfReceivingHoldsEachRequest sends requests to a broker that has long been waiting for them.
func TestDelayOfReceivingHoldsEachRequest(t *testing.T) {
	for name, order := range map[string]func(*Link){
		"from now on": func(l *Link) { l.Delay(time.Second) },
		"at an octet": func(l *Link) { l.DelayAfterReceiving(0, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
				say("a1 queue.declare Queue=q Durable")
				order(b.Links()[0])
				var sent time.Time
				var held []time.Duration
				b.OnReceive(wire.MethodQueueDeclare, func(Event) Action {
					held = append(held, time.Since(sent))
					return Pass
				})
				for range 2 {
					say("sleep 5s")
					sent = time.Now()
					say("a1 queue.declare Queue=q Durable", "sleep 5s")
				}
				if len(held) != 2 || held[0] != time.Second || held[1] != time.Second {
					t.Errorf("the requests were held for %v, want one second each", held)
				}
			})
		})
	}
}
