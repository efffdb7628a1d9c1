package core_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
)

// A channel or connection that this side closes gives back first what is not settled: what comes back to a quorum queue
// of RabbitMQ 4.3 by the end of its channel counts as a failed delivery, twice where a consumer had it again meanwhile.
func TestWhatAClosedChannelHeldIsNotCountedAsFailed(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context, ch *core.Channel, c *core.Consumer) error{
		"the channel is closed":    func(ctx context.Context, ch *core.Channel, _ *core.Consumer) error { return ch.Close(ctx) },
		"the connection is closed": func(ctx context.Context, ch *core.Channel, _ *core.Consumer) error { return ch.Conn().Close(ctx) },
		"its consumer was cancelled": func(ctx context.Context, ch *core.Channel, c *core.Consumer) error {
			if err := c.Cancel(ctx); err != nil {
				return err
			}
			return ch.Close(ctx)
		},
		"some were settled out of order": func(ctx context.Context, ch *core.Channel, c *core.Consumer) error {
			d, err := c.Receive(ctx)
			if err != nil {
				return err
			}
			if err := d.Nack(true); err != nil {
				return err
			}
			return ch.Close(ctx)
		},
		"it saw an automatic ack": func(ctx context.Context, ch *core.Channel, _ *core.Consumer) error {
			if _, err := ch.QueueDeclare(ctx, core.QueueDeclare{Queue: "other"}); err != nil {
				return err
			}
			if _, err := ch.Consume(ctx, core.BasicConsume{Queue: "other", NoAck: true}); err != nil {
				return err
			}
			return ch.Close(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				defer b.Close()
				ctx := t.Context()
				dial := func() *core.Channel {
					conn, err := core.Dial(ctx, core.Config{Addr: "broker:5672", DialContext: b.DialContext})
					if err != nil {
						t.Fatal(err)
					}
					ch, err := conn.Channel(ctx)
					if err != nil {
						t.Fatal(err)
					}
					return ch
				}
				ch := dial()
				if _, err := ch.QueueDeclare(ctx, core.QueueDeclare{Queue: "q", Durable: true, Arguments: wire.Table{"x-queue-type": "quorum"}}); err != nil {
					t.Fatal(err)
				}
				for i := range 5 {
					if err := ch.Publish(ctx, &core.Publishing{RoutingKey: "q", Body: fmt.Append(nil, i)}); err != nil {
						t.Fatal(err)
					}
				}
				if err := ch.Qos(ctx, core.BasicQos{PrefetchCount: 3}); err != nil {
					t.Fatal(err)
				}
				c, err := ch.Consume(ctx, core.BasicConsume{Queue: "q"})
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if err := end(ctx, ch, c); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				other := dial()
				defer func() { _ = other.Conn().Close(ctx); _ = ch.Conn().Close(ctx) }()
				for range 5 {
					d, err := other.Get(ctx, core.BasicGet{Queue: "q"})
					if err != nil || d == nil {
						t.Fatal(d, err)
					}
					if n, counted := d.Header("x-delivery-count"); counted {
						t.Errorf("message %s counts %v failed deliveries", d.Body, n)
					}
				}
			})
		})
	}
}
