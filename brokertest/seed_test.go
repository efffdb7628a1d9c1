package brokertest

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core/wire"
)

// TestResumedDeliveriesComeInOneOrder has consumers on many channels wait for a backlog to go: who is served first may not
// differ from run to run.
func TestResumedDeliveriesComeInOneOrder(t *testing.T) {
	run := func() (order []string) {
		inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
			var queues []string
			for channel := 1; channel <= 4; channel++ {
				for _, tag := range []string{"a", "b", "c"} {
					q := fmt.Sprintf("%s%d", tag, channel)
					queues = append(queues, q)
					say(fmt.Sprintf("c%d queue.declare Queue=%s Durable", channel, q),
						fmt.Sprintf("c%d basic.consume Queue=%s ConsumerTag=%s NoAck", channel, q, q))
				}
			}
			b.Links()[0].StallSending()
			for _, q := range slices.Repeat(queues, 3) { // three times the backlog
				b.Publish("", q, wire.Properties{}, make([]byte, backlog/len(queues)))
				synctest.Wait() // the writer has taken the first, the others gather behind it
			}
			b.OnSend(wire.MethodBasicDeliver, func(e Event) Action {
				order = append(order, e.Method.(*wire.BasicDeliver).ConsumerTag)
				return Pass
			})
			b.Links()[0].Resume()
			synctest.Wait()
		})
		return order
	}
	first := run()
	for range 2 {
		if again := run(); !slices.Equal(first, again) {
			t.Fatalf("one run delivered in the order\n%s\nanother in\n%s", first, again)
		}
	}
}
