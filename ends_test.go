package warren

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/publisher"
)

// Whatever waits for anything of a client ends with it, whether the broker answers or is away.
func TestNothingWaitsBehindClose(t *testing.T) {
	type fixture struct {
		c    *Client
		ch   *Channel
		pub  *publisher.Publisher
		sent *publisher.Receipt
	}
	waiters := map[string]func(ctx context.Context, f fixture) error{
		"Publish": func(ctx context.Context, f fixture) error { return f.pub.Publish(ctx, Message{RoutingKey: "q"}) },
		"Receipt": func(ctx context.Context, f fixture) error {
			if _, err := f.sent.Wait(ctx); err != nil {
				return err
			}
			return f.sent.Verdict().Err()
		},
		"Run": func(ctx context.Context, f fixture) error {
			return f.c.Consume(ctx, "q", func(context.Context, *Delivery) error { return nil })
		},
		"All": func(ctx context.Context, f fixture) error {
			cons, err := f.c.Consumer("q")
			if err != nil {
				return err
			}
			for _, err := range cons.All(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"Channel": func(ctx context.Context, f fixture) error {
			_, err := f.c.Channel(ctx)
			return err
		},
		"QueueDeclare": func(ctx context.Context, f fixture) error {
			_, err := f.ch.QueueDeclare(ctx, core.QueueDeclare{Queue: "q"})
			return err
		},
		"Declare": func(ctx context.Context, f fixture) error {
			_, err := f.c.Declare(ctx, Topology{Queues: []Queue{{Name: "other"}}})
			return err
		},
	}
	brokers := map[string]func(b *brokertest.Broker){
		"that does not answer": func(b *brokertest.Broker) {
			for _, id := range []wire.MethodID{wire.MethodChannelOpen, wire.MethodQueueDeclare, wire.MethodBasicConsume} {
				b.OnReceive(id, brokertest.Always(brokertest.Swallow))
			}
			b.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Unconfirmed))
		},
		"that is away": func(b *brokertest.Broker) { b.Stop() },
	}
	for how, broker := range brokers {
		for what, wait := range waiters {
			t.Run(what+", broker "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := brokertest.New(t)
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					c, err := Dial(ctx, "amqp://guest:guest@broker/", WithConnection(func(cfg *core.Config) { cfg.DialContext = b.DialContext }))
					if err != nil {
						t.Fatal(err)
					}
					f := fixture{c: c}
					if _, err := c.Declare(ctx, Topology{Queues: []Queue{{Name: "q"}}}); err != nil {
						t.Fatal(err)
					}
					if f.ch, err = c.Channel(ctx); err != nil {
						t.Fatal(err)
					}
					if f.pub, err = c.Publisher(); err != nil {
						t.Fatal(err)
					}
					if err := f.pub.Publish(ctx, Message{RoutingKey: "q"}); err != nil {
						t.Fatal(err)
					}
					broker(b)
					if f.sent, err = f.pub.Send(ctx, Message{RoutingKey: "q"}); err != nil {
						t.Fatal(err)
					}
					ended := make(chan error, 1)
					go func() { ended <- wait(ctx, f) }()
					synctest.Wait()
					_ = c.Close(ctx) // whether the broker has confirmed that is another question
					hangs := time.NewTimer(time.Minute)
					defer hangs.Stop()
					select {
					case err := <-ended:
						if err == nil && what != "Run" { // which may have been stopped first
							t.Error("it ended well")
						}
					case <-hangs.C:
						t.Error("it waits")
					}
				})
			})
		}
	}
}
