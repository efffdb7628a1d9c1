package consumer_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// A stream is one by its type: declared here, or by another service; nobody says FromOffset. Every message is handled, also
// when each fails at first, over losses, and where the first loss comes before the first message.
func TestAStreamIsOneByItsType(t *testing.T) {
	for _, version := range []string{"3.10", "4.0", "4.3"} {
		for _, declared := range []bool{false, true} {
			for _, workers := range []int{1, 4} {
				inBubble(t, func(e *env) {
					if declared {
						e.declare(topology.Topology{Queues: []topology.Queue{{Name: "s", Type: topology.Stream}}})
					} else {
						e.queue("s", wire.Table{"x-queue-type": "stream"})
					}
					e.publish("s", 91, 99) // before it subscribes: not its business
					time.Sleep(time.Minute)
					var tried, handled seen
					r := e.run("s", func(_ context.Context, d *core.Delivery) error {
						if !tried.has(string(d.Body)) {
							tried.add(d)
							return errors.New("the database is away")
						}
						handled.add(d)
						return nil
					}, consumer.Workers(workers), consumer.RequeuePause(time.Millisecond, time.Millisecond))
					time.Sleep(time.Minute)
					for round := range 3 {
						e.broker.Stop()
						time.Sleep(time.Minute)
						e.broker.Start()
						e.publish("s", 10*round, 10*round+9) // before it is back
						time.Sleep(time.Minute)
					}
					all := handled.all()
					slices.Sort(all)
					if got := slices.Compact(all); !slices.Equal(got, slices.Sorted(slices.Values(numbers(0, 29)))) {
						t.Errorf("RabbitMQ %s, declared %t, %d workers: handled %v", version, declared, workers, got)
					}
					if next, known := r.Offset(); !known || next != 39 {
						t.Errorf("offset %d, %t; want 39", next, known)
					}
					if s := r.Stats(); s.Requeued != 0 {
						t.Errorf("a stream gives nothing again: %+v", s)
					}
					if err := r.stop(); err != nil {
						t.Error(err)
					}
				}, brokertest.WithVersion(version))
			}
		}
	}
}

// Where nothing was delivered yet the broker is asked, once, whether the queue is a stream.
func TestAQueueThatIsNoStreamIsAskedForOnce(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var got seen
		r := e.run("q", got.handler)
		for range 3 {
			e.broker.Cut()
			time.Sleep(time.Minute)
			e.wantQueue("q", 0, 0, 1)
		}
		e.publish("q", 1, 3)
		time.Sleep(time.Second)
		e.wantSeen(&got, numbers(1, 3))
		if n := e.count(recovery.EventConsumerLost); n != 0 {
			t.Errorf("%d times lost", n)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A message that was moved from a stream to a queue has its offset still, which does not make the queue a stream.
func TestAnOffsetAloneMakesNoStream(t *testing.T) {
	for _, declared := range []bool{false, true} {
		inBubble(t, func(e *env) {
			if declared {
				e.declare(topology.Topology{Queues: []topology.Queue{{Name: "q", Type: topology.Classic}}})
			} else {
				e.queue("q", nil)
			}
			moved := wire.Properties{Headers: wire.Table{"x-stream-offset": int64(7)}}
			if _, err := e.broker.Publish("", "q", moved, []byte("moved")); err != nil {
				t.Fatal(err)
			}
			var mended atomic.Bool
			r := e.run("q", func(_ context.Context, d *core.Delivery) error {
				if !mended.Load() && string(d.Body) == "moved" {
					return errors.New("not yet")
				}
				return nil
			}, consumer.RequeuePause(time.Millisecond, time.Millisecond))
			time.Sleep(time.Second)
			e.broker.Cut()
			time.Sleep(time.Minute)
			mended.Store(true)
			e.publish("q", 1, 20)
			time.Sleep(time.Minute)
			e.wantQueue("q", 0, 0, 1)
			if next, known := r.Offset(); known {
				t.Errorf("declared %t: offset %d of a queue", declared, next)
			}
			if err := r.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What the broker would close the connection over is refused before it is asked for.
func TestAStreamWithAutomaticAckIsRefused(t *testing.T) {
	inBubble(t, func(e *env) {
		e.declare(topology.Topology{Queues: []topology.Queue{{Name: "s", Type: topology.Stream}}})
		c := e.consumer("s", consumer.AutoAck())
		if err := c.Start(e.ctx, func(context.Context, *core.Delivery) error { return nil }); !isValidation(err) {
			t.Errorf("%v", err)
		}
		if s := e.conn.State(); s.Epoch != 1 {
			t.Errorf("state %+v", s)
		}
	})
}
