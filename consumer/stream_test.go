package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

func TestStreamGoesOnBehindWhatWasSettled(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("s", wire.Table{"x-queue-type": "stream"})
		e.publish("s", 1, 20)
		var got seen
		var hold atomic.Bool
		hold.Store(true)
		r := e.run("s", func(ctx context.Context, d *core.Delivery) error {
			if string(d.Body) == "8" && hold.Load() {
				<-ctx.Done() // it is not settled when the connection is lost
				return ctx.Err()
			}
			got.add(d)
			return nil
		}, consumer.FromOffset(uint64(4)), consumer.Workers(3), consumer.Prefetch(10))
		time.Sleep(time.Second)
		if next, ok := r.Offset(); !ok || next != 7 {
			t.Errorf("the first not settled is %d, %t; want 7", next, ok)
		}
		hold.Store(false)
		e.broker.Cut()
		time.Sleep(time.Minute)
		all := got.all()
		slices.Sort(all)
		want := slices.Concat(numbers(5, 20), numbers(9, 20)) // from the one held on again
		slices.Sort(want)
		if !slices.Equal(all, want) {
			t.Errorf("handled %v", got.all())
		}
		if next, ok := r.Offset(); !ok || next != 20 {
			t.Errorf("the first not settled is %d, %t; want 20", next, ok)
		}
		e.publish("s", 21, 21)
		synctest.Wait()
		if all := got.all(); all[len(all)-1] != "21" {
			t.Errorf("handled %v", all)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestAStreamThatWasReplacedIsReadFromItsBeginning: its offsets count from 0 again.
func TestAStreamThatWasReplacedIsReadFromItsBeginning(t *testing.T) {
	for name, replace := range map[string]func(e *env){
		"deleted":   func(e *env) { e.broker.DeleteQueue("s") },
		"forgotten": func(e *env) { e.broker.Restart(brokertest.Forget) },
		"forgotten among many": func(e *env) {
			for i := range 300 {
				e.declare(topology.Topology{Queues: []topology.Queue{{Name: fmt.Sprint("other-", i)}}})
			}
			e.broker.Restart(brokertest.Forget)
		},
		"deleted during an outage": func(e *env) {
			e.broker.Stop()
			e.broker.DeleteQueue("s")
			e.broker.Start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.declare(topology.Topology{Queues: []topology.Queue{{Name: "s", Type: topology.Stream}}})
				e.publish("s", 1, 20)
				var got seen
				r := e.run("s", got.handler, consumer.FromOffset("first"), consumer.Tag("mine"))
				synctest.Wait()
				replace(e)
				time.Sleep(time.Minute)
				e.publish("s", 21, 25)
				synctest.Wait()
				e.wantSeen(&got, numbers(1, 25))
				if next, ok := r.Offset(); !ok || next != 5 {
					t.Errorf("the first not settled is %d, %t; want 5", next, ok)
				}
				// One that is still there is not begun again.
				e.broker.CancelConsumer("mine")
				time.Sleep(time.Minute)
				e.broker.Cut()
				time.Sleep(time.Minute)
				e.wantSeen(&got, numbers(1, 25))
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A stream delivers nothing again: the handler is called again instead.
func TestStreamHandlerIsCalledAgain(t *testing.T) {
	t.Run("FromOffset", func(t *testing.T) { streamHandlerIsCalledAgain(t, consumer.FromOffset("first")) })
	t.Run("argument", func(t *testing.T) {
		streamHandlerIsCalledAgain(t, consumer.Arguments(core.Table{"x-stream-offset": "first"}))
	})
}

func streamHandlerIsCalledAgain(t *testing.T, from consumer.Option) {
	inBubble(t, func(e *env) {
		e.queue("s", wire.Table{"x-queue-type": "stream"})
		e.publish("s", 1, 3)
		var got seen
		var calls atomic.Int64
		r := e.run("s", func(_ context.Context, d *core.Delivery) error {
			got.add(d)
			switch calls.Add(1) {
			case 2:
				return errors.New("bad luck")
			case 3:
				return consumer.ErrRequeue
			case 4:
				return consumer.ErrReject
			}
			return nil
		}, from)
		time.Sleep(time.Minute)
		e.wantSeen(&got, []string{"1", "2", "2", "2", "3"})
		if next, _ := r.Offset(); next != 3 {
			t.Errorf("the first not settled is %d; want 3", next)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A handler that settles a stream's delivery itself is done with it, whatever it returns.
func TestStreamHandlersMaySettleThemselves(t *testing.T) {
	for name, settle := range map[string]func(d *core.Delivery) error{
		"ack":             func(d *core.Delivery) error { return d.Ack() },
		"ack and error":   func(d *core.Delivery) error { return errors.Join(d.Ack(), errors.New("bad luck")) },
		"ack and requeue": func(d *core.Delivery) error { return errors.Join(d.Ack(), consumer.ErrRequeue) },
		"by its number":   func(d *core.Delivery) error { return d.Channel().Ack(d.Tag, false) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("s", wire.Table{"x-queue-type": "stream"})
				e.publish("s", 1, 25)
				var got seen
				r := e.run("s", func(_ context.Context, d *core.Delivery) error {
					got.add(d)
					return settle(d)
				}, consumer.FromOffset("first"))
				synctest.Wait()
				e.wantSeen(&got, numbers(1, 25))
				if next, _ := r.Offset(); next != 25 {
					t.Errorf("the first not settled is %d; want 25", next)
				}
				e.broker.Cut()
				time.Sleep(time.Minute)
				e.publish("s", 26, 26)
				synctest.Wait()
				e.wantSeen(&got, numbers(1, 26))
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Run it with the race detector: what was released is used again for the next delivery.
func TestStreamIterationMayRelease(t *testing.T) {
	inBubble(t, func(e *env) {
		const messages = 200
		e.queue("s", wire.Table{"x-queue-type": "stream"})
		e.publish("s", 1, messages)
		c := e.consumer("s", consumer.FromOffset("first"), consumer.Prefetch(10))
		seen := 0
		for d, err := range c.All(e.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if next, ok := c.Offset(); seen > 0 && (!ok || next != uint64(seen)) {
				t.Fatalf("the first not settled is %d, %t; want %d", next, ok, seen)
			}
			if err := d.Ack(); err != nil {
				t.Error(err)
			}
			d.Release()
			if seen++; seen == messages {
				break
			}
		}
	})
}

func TestStreamIteration(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("s", wire.Table{"x-queue-type": "stream"})
		e.publish("s", 1, 10)
		c := e.consumer("s", consumer.FromOffset("first"))
		var got []string
		for d, err := range c.All(e.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(d.Body))
			_ = d.Ack() // stale in one case
			if len(got) == 4 {
				e.broker.Cut()
				synctest.Wait()
			}
			if len(got) == 10 {
				break
			}
		}
		if !slices.Equal(got, numbers(1, 10)) {
			t.Errorf("got %v", got)
		}
		if next, ok := c.Offset(); !ok || next != 9 { // of the last one the loop said nothing
			t.Errorf("the first not settled is %d, %t; want 9", next, ok)
		}
	})
}

// RabbitMQ before 4.0 delivers what a stream has stored together, whatever the prefetch: that is no overflow.
func TestAStreamMayDeliverMoreThanItsPrefetch(t *testing.T) {
	inBubble(t, func(e *env) {
		const messages = 1000
		e.queue("s", wire.Table{"x-queue-type": "stream"})
		e.publish("s", 1, messages)
		qos := e.broker.OnReceive(wire.MethodBasicQos, func(event brokertest.Event) brokertest.Action {
			event.Method.(*wire.BasicQos).PrefetchCount = messages
			return brokertest.Pass
		})
		var got seen
		r := e.run("s", func(ctx context.Context, d *core.Delivery) error {
			time.Sleep(time.Millisecond)
			return got.handler(ctx, d)
		}, consumer.FromOffset("first"), consumer.Prefetch(1))
		time.Sleep(time.Minute)
		e.wantSeen(&got, numbers(1, messages))
		if n := e.count(recovery.EventConsumerLost); n > 0 || qos.Hits() != 1 {
			t.Errorf("lost %d times, %d times asked for its prefetch", n, qos.Hits())
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A stream whose node is down is not gone: RabbitMQ refuses it with 404 then too, and it is not read again.
func TestAStreamWhoseNodeIsDownIsNotReadAgain(t *testing.T) {
	inBubble(t, func(e *env) {
		e.declare(topology.Topology{Queues: []topology.Queue{{Name: "s", Type: topology.Stream}}})
		e.publish("s", 1, 5)
		var got seen
		r := e.run("s", got.handler, consumer.FromOffset("first"))
		synctest.Wait()
		down := brokertest.Always(brokertest.Refuse(404,
			"NOT_FOUND - home node 'rabbit@b' of durable queue 's' in vhost '/' is down or inaccessible"))
		consumes, declares := e.broker.OnReceive(wire.MethodBasicConsume, down), e.broker.OnReceive(wire.MethodQueueDeclare, down)
		e.broker.Cut()
		time.Sleep(time.Minute)
		if consumes.Hits() < 2 || declares.Hits() < 2 {
			t.Errorf("refused %d consumes, %d declarations", consumes.Hits(), declares.Hits())
		}
		consumes.Remove()
		declares.Remove()
		time.Sleep(time.Minute)
		e.publish("s", 6, 6)
		synctest.Wait()
		e.wantSeen(&got, numbers(1, 6))
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A success ends a series of failures: the next message that fails is tried again as soon as the first one was.
func TestAStreamsPausesAreThoseOfItsMessage(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("s", wire.Table{"x-queue-type": "stream"})
		e.publish("s", 1, 3)
		const failures = 6
		calls := map[string][]time.Time{}
		r := e.run("s", func(_ context.Context, d *core.Delivery) error {
			body := string(d.Body)
			calls[body] = append(calls[body], time.Now())
			if len(calls[body]) <= failures {
				return errors.New("bad luck")
			}
			return nil
		}, consumer.FromOffset("first"), consumer.Workers(1), consumer.RequeuePause(100*time.Millisecond, 10*time.Second))
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		for _, body := range numbers(1, 3) {
			var pauses []time.Duration
			for i, at := range calls[body][1:] {
				pauses = append(pauses, at.Sub(calls[body][i]))
			}
			grown := len(pauses) == failures
			for i, pause := range pauses {
				bound := 100 * time.Millisecond << i
				grown = grown && pause <= bound && pause >= bound-bound/8
			}
			if !grown {
				t.Errorf("message %s: pauses %v; want 100ms doubling to 3.2s, less up to an eighth", body, pauses)
			}
		}
	})
}

// A loop over a stream has done with a message when it asks for the next, whether it acks or not.
func TestStreamIterationGoesOnWithoutAcks(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("s", wire.Table{"x-queue-type": "stream"})
		e.publish("s", 1, 10)
		c := e.consumer("s", consumer.FromOffset("first"), consumer.Prefetch(50))
		var got []string
		for d, err := range c.All(e.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(d.Body))
			if string(d.Body) == "4" && len(got) == 4 {
				e.broker.Cut()
				time.Sleep(time.Minute)
			}
			if string(d.Body) == "10" {
				break
			}
		}
		if got := slices.Compact(got); !slices.Equal(got, numbers(1, 10)) { // the one at hand may come twice
			t.Errorf("got %v", got)
		}
		if next, ok := c.Offset(); !ok || next != 9 {
			t.Errorf("the first not settled is %d, %t; want 9", next, ok)
		}
	})
}
