package channel

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// A multiple goes through the same fence as a single ack: of a delivery whose consumer
// the server took away it would cost the channel, with every other consumer on it.
func TestAMultipleOfAStaleDeliveryIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{}, brokertest.WithTranscript())
		ch := b.channel(t)
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true, Arguments: core.Table{"x-queue-type": "quorum"}})
		for range 2 {
			_, err := b.Publish("", q, wire.Properties{}, []byte("m"))
			must(t, err)
		}
		c := consume(t, ch, q, "c")
		first, err := c.Receive(t.Context())
		must(t, err)
		last, err := c.Receive(t.Context())
		must(t, err)
		id := fmt.Sprintf(" %d ", ch.physical.ID())
		b.CancelConsumer("c")
		synctest.Wait()
		for what, err := range map[string]error{
			"ack": ch.Ack(first, false), "multiple ack": ch.Ack(last, true), "reject": ch.Reject(last, true),
			"nack": ch.Nack(first, false, true), "multiple nack": ch.Nack(last, true, true),
		} {
			if !errors.Is(err, core.ErrStale) {
				t.Errorf("%s: %v", what, err)
			}
		}
		synctest.Wait()
		for _, line := range b.Transcript(1) {
			for _, no := range []string{"basic.ack", "basic.nack", "basic.reject", "channel.close"} {
				if strings.Contains(line, id+no) {
					t.Errorf("on the wire: %s", line)
				}
			}
		}
		if n := len(b.journal.Of(recovery.EventChannelLost)); n != 0 {
			t.Errorf("%d channels lost", n)
		}
	})
}
