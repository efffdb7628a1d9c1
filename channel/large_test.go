package channel

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/session"
)

// A channel that is given up while a large message is on its way still sends the rest of it: the broker has the message, so
// it is not published again on the next channel.
func TestALargeMessageOfAChannelThatIsGivenUpIsPublishedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBedAt(t, session.Config{}, func(c *core.Config) { c.RPCTimeout, c.WriteBuffer = time.Second, 64<<10 })
		ch := b.channel(t)
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		b.OnReceive(wire.MethodQueueDeclare, brokertest.Nth(1, brokertest.Swallow)) // a queue without a leader, say
		given := make(chan error, 1)
		go func() {
			_, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "stuck"})
			given <- err
		}()
		synctest.Wait()
		for _, l := range b.Links() {
			l.Slice(64 << 10)
			l.Delay(10 * time.Millisecond)
		}
		begun := time.Now()
		must(t, ch.Publish(t.Context(), &core.Publishing{RoutingKey: q, Body: make([]byte, 15<<20)}))
		if err := <-given; !errors.Is(err, core.ErrTimeout) {
			t.Errorf("the declaration: %v", err)
		}
		if took := time.Since(begun); took < time.Second {
			t.Errorf("published after %s: before the channel was given up", took)
		}
		must(t, ch.Publish(t.Context(), &core.Publishing{RoutingKey: q, Body: []byte("next")})) // on the next channel
		time.Sleep(time.Minute)
		if held := b.Messages("q"); len(held) != 2 || len(held[0].Body) != 15<<20 || string(held[1].Body) != "next" {
			t.Errorf("%d messages in the queue", len(held))
		}
	})
}
