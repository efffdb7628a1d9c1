package consumer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// TestSubscriptionComesBackAsItWas is promise P4 for consumers: tag, prefetch
// and arguments, exactly one subscription each time.
func TestSubscriptionComesBackAsItWas(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		r := e.run("q", func(context.Context, *core.Delivery) error { return nil },
			consumer.Tag("mine"), consumer.Prefetch(7), consumer.Arguments(core.Table{"x-priority": int32(5)}))
		for range 10 {
			synctest.Wait()
			all := e.broker.Consumers()
			if len(all) != 1 || all[0].Tag != "mine" || all[0].Prefetch != 7 || all[0].Priority != 5 {
				t.Fatalf("%+v", all)
			}
			e.broker.Cut()
			time.Sleep(time.Minute)
		}
		if r.Tag() != "mine" || r.Queue() != "q" {
			t.Errorf("tag %q, queue %q", r.Tag(), r.Queue())
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if n := len(e.broker.Consumers()); n != 0 {
			t.Errorf("%d consumers after the stop", n)
		}
	})
}

func TestFirstRefusalIsReturned(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		holder := e.run("q", func(context.Context, *core.Delivery) error { return nil }, consumer.Exclusive())
		for queue, want := range map[string]core.Code{"none": core.ErrNotFound, "q": core.ErrAccessRefused} {
			c := e.consumer(queue)
			if err := c.Run(e.ctx, func(context.Context, *core.Delivery) error { return nil }); !errors.Is(err, want) {
				t.Errorf("queue %s: %v; want %v", queue, err, want)
			}
			<-c.Done()
			if s := e.conn.State(); s.Ready() || len(s.Degraded) != 1 || !errors.Is(s.Degraded[0], want) {
				t.Errorf("state %+v", s)
			}
			if err := c.Stop(e.ctx); err != nil || !errors.Is(c.Err(), want) || !e.conn.State().Ready() {
				t.Errorf("stopped: %v, %v, state %+v", err, c.Err(), e.conn.State())
			}
		}
		if err := holder.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A connection without a channel to spare refuses a first subscription too; a later one waits for a channel.
func TestASubscriptionWithoutAChannelIsRefused(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		handle := func(context.Context, *core.Delivery) error { return nil }
		first := e.run("q", handle, consumer.Tag("first"))
		s, err := e.conn.Session(e.ctx)
		if err != nil {
			t.Fatal(err)
		}
		other, err := s.Conn.Channel(e.ctx)
		if err != nil {
			t.Fatal(err)
		}
		second := e.consumer("q")
		if err := second.Run(e.ctx, handle); !errors.Is(err, core.ErrChannelsExhausted) {
			t.Errorf("%v", err)
		}
		_ = second.Stop(e.ctx)                                                                     // it is no longer missed
		hook := e.broker.OnReceive(wire.MethodChannelClose, brokertest.Always(brokertest.Swallow)) // holds the first one's channel
		e.broker.CancelConsumer("first")
		time.Sleep(time.Minute)
		if s := e.conn.State(); len(s.Degraded) != 1 || !errors.Is(s.Degraded[0], core.ErrChannelsExhausted) {
			t.Errorf("state %+v", s)
		}
		hook.Remove()
		if err := other.Close(e.ctx); err != nil {
			t.Fatal(err)
		}
		if err := e.conn.Await(e.ctx, recovery.State.Ready); err != nil {
			t.Fatal(err)
		}
		if err := first.stop(); err != nil {
			t.Error(err)
		}
	}, brokertest.WithChannelMax(2))
}

func TestLaterRefusalsDegradeAndAreRetried(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var got seen
		r := e.run("q", got.handler, consumer.Name("orders"))
		e.broker.DeleteQueue("q") // not declared by this client: nobody here brings it back
		time.Sleep(time.Minute)
		s := e.conn.State()
		if s.Stage != recovery.StagePublishReady || len(s.Degraded) != 1 || s.Degraded[0].Entity != "orders" || !errors.Is(s.Degraded[0].Err, core.ErrNotFound) {
			t.Errorf("state %+v", s)
		}
		if n := e.count(recovery.EventConsumerLost); n < 5 || n > 40 {
			t.Errorf("%d attempts in a minute", n)
		}
		e.queue("q", nil)
		if err := e.conn.Await(e.ctx, recovery.State.Ready); err != nil {
			t.Fatal(err)
		}
		e.publish("q", 1, 1)
		synctest.Wait()
		e.wantSeen(&got, numbers(1, 1))
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestDeletedQueueComesBackIfItWasDeclaredHere(t *testing.T) {
	inBubble(t, func(e *env) {
		e.declare(topology.Topology{
			Exchanges: []topology.Exchange{{Name: "x"}},
			Queues:    []topology.Queue{{Name: "q"}},
			Bindings:  []topology.Binding{{Source: "x", Destination: "q", RoutingKey: "k"}},
		})
		var got seen
		r := e.run("q", got.handler)
		e.broker.DeleteQueue("q")
		time.Sleep(time.Second)
		e.wantQueue("q", 0, 0, 1)
		if n := len(e.broker.Bindings()); n != 1 {
			t.Errorf("%d bindings", n)
		}
		e.publish("q", 1, 1)
		synctest.Wait()
		e.wantSeen(&got, numbers(1, 1))
		if s := e.conn.State(); !s.Ready() {
			t.Errorf("state %+v", s)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// An ack that is late makes RabbitMQ 4.3 cancel the consumer of a quorum queue.
func TestAckTimeoutIsSurvived(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", wire.Table{"x-queue-type": "quorum", "x-consumer-timeout": int32(60_000)})
		var calls atomic.Int64
		causes := make(chan error, 1)
		r := e.run("q", func(ctx context.Context, d *core.Delivery) error {
			if calls.Add(1) == 1 {
				<-ctx.Done()
				causes <- context.Cause(ctx)
			}
			return nil
		}, consumer.Tag("mine"))
		e.publish("q", 1, 1)
		if err := <-causes; !errors.Is(err, core.ErrStale) || !errors.Is(err, core.ErrCancelled) {
			t.Errorf("cause %v", err)
		}
		time.Sleep(time.Minute)
		e.wantQueue("q", 0, 0, 1)
		if n := calls.Load(); n != 2 {
			t.Errorf("%d calls", n)
		}
		if len(e.sockets) != 1 {
			t.Errorf("%d connections", len(e.sockets))
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestServerNamedQueueIsFollowed(t *testing.T) {
	inBubble(t, func(e *env) {
		e.declare(topology.Topology{
			Exchanges: []topology.Exchange{{Name: "news", Type: topology.Fanout}},
			Queues:    []topology.Queue{{Exclusive: true}},
		})
		name := e.recorder.Snapshot().Queues[0].Name
		if name == "" {
			name = e.broker.Queues()[0].Name
		}
		e.declare(topology.Topology{Bindings: []topology.Binding{{Source: "news", Destination: name}}})
		var got seen
		r := e.run(name, got.handler)
		e.broker.Cut()
		if _, err := e.conn.SessionAfter(e.ctx, 1); err != nil {
			t.Fatal(err)
		}
		if err := e.conn.Await(e.ctx, recovery.State.Ready); err != nil {
			t.Fatal(err)
		}
		if r.Queue() == name {
			t.Error("the queue still has its old name")
		}
		ch := e.channel()
		if err := ch.Publish(e.ctx, &core.Publishing{Exchange: "news", Body: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		e.wantSeen(&got, numbers(1, 1))
		_ = ch.Conn().Close(e.ctx)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A queue has only so many earlier names: a consumer goes by the latest that it has seen.
func TestServerNamedQueueIsFollowedForEver(t *testing.T) {
	inBubble(t, func(e *env) {
		e.declare(topology.Topology{Queues: []topology.Queue{{Exclusive: true}}})
		lose := func() {
			e.broker.Cut()
			time.Sleep(time.Minute)
		}
		lose() // the name that the consumer is given is not the first
		name := e.broker.Queues()[0].Name
		var got seen
		r := e.run(name, got.handler)
		for i := range 40 {
			lose()
			queues := e.broker.Queues()
			if len(queues) != 1 || queues[0].Consumers != 1 || r.Queue() != queues[0].Name {
				t.Fatalf("after %d losses: %+v, the consumer's is %q", i+2, queues, r.Queue())
			}
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestAutoDeleteQueueIsForgottenWithTheLastConsumer(t *testing.T) {
	inBubble(t, func(e *env) {
		e.declare(topology.Topology{Queues: []topology.Queue{{Name: "q", AutoDelete: true}}})
		handle := func(context.Context, *core.Delivery) error { return nil }
		first, second := e.run("q", handle), e.run("q", handle)
		e.broker.Cut()
		time.Sleep(time.Minute)
		e.wantQueue("q", 0, 0, 2)
		if err := first.stop(); err != nil {
			t.Error(err)
		}
		if n := e.recorder.Len(); n != 1 {
			t.Errorf("%d entities recorded while a consumer is left", n)
		}
		if err := second.stop(); err != nil {
			t.Error(err)
		}
		if n := e.recorder.Len(); n != 0 {
			t.Errorf("%d entities recorded after the last one", n)
		}
		if _, ok := e.broker.Queue("q"); ok {
			t.Error("the queue is still there")
		}
	})
}

// Right after a loss the broker may think that the old connection lives.
func TestExclusiveConsumerWaitsForItsOwnGhost(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		r := e.run("q", func(context.Context, *core.Delivery) error { return nil }, consumer.Exclusive())
		refused := e.broker.OnReceive(wire.MethodBasicConsume, brokertest.Always(brokertest.Refuse(403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use")))
		e.broker.Cut()
		time.Sleep(10 * time.Second)
		if s := e.conn.State(); len(s.Degraded) != 1 {
			t.Errorf("state %+v", s)
		}
		if n := refused.Hits(); n < 3 || n > 20 {
			t.Errorf("%d attempts in ten seconds", n)
		}
		refused.Remove()
		if err := e.conn.Await(e.ctx, recovery.State.Ready); err != nil {
			t.Fatal(err)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestReadyMeansSubscribed is promise P6: consume-ready is said only when every
// consumer is subscribed on this connection.
func TestReadyMeansSubscribed(t *testing.T) {
	inBubble(t, func(e *env) {
		e.declare(topology.Topology{Queues: []topology.Queue{{Name: "q", Type: topology.Classic}}})
		r := e.run("q", func(context.Context, *core.Delivery) error { return nil })
		slow := e.broker.OnReceive(wire.MethodBasicConsume, brokertest.Always(brokertest.Delay(5*time.Second)))
		e.broker.Cut()
		if _, err := e.conn.SessionAfter(e.ctx, 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := e.conn.State(); s.Stage != recovery.StagePublishReady {
			t.Errorf("stage %v before consume-ok", s.Stage)
		}
		time.Sleep(6 * time.Second)
		if s := e.conn.State(); !s.Ready() {
			t.Errorf("state %+v after consume-ok", s)
		}
		slow.Remove()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if s := e.conn.State(); s.Stage != recovery.StageConsumeReady {
			t.Errorf("stage %v after the consumer has left", s.Stage)
		}
	})
}

// A consumer counts from when it is made, however late its goroutine begins.
func TestAConsumerCountsFromWhenItIsMade(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		if err := e.conn.Connect(e.ctx); err != nil {
			t.Fatal(err)
		}
		c, never := e.consumer("q"), e.consumer("q", consumer.Name("never started"))
		if s := e.conn.State(); s.Ready() || s.Stage != recovery.StagePublishReady {
			t.Errorf("state %+v", s)
		}
		if err := never.Stop(e.ctx); err != nil {
			t.Error(err)
		}
		go func() {
			time.Sleep(time.Minute)
			_ = c.Run(e.ctx, func(context.Context, *core.Delivery) error { return nil })
		}()
		if err := e.conn.Await(e.ctx, recovery.State.Ready); err != nil {
			t.Error(err)
		}
		if q, _ := e.broker.Queue("q"); q.Consumers != 1 {
			t.Errorf("ready with %d consumers", q.Consumers)
		}
		if err := c.Stop(e.ctx); err != nil {
			t.Error(err)
		}
	})
}

// Start returns when the broker has taken the subscription, or says why it has not.
func TestStartReturnsAtTheAnswer(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		e.publish("q", 1, 1)
		e.broker.OnReceive(wire.MethodBasicConsume, brokertest.Always(brokertest.Delay(5*time.Second)))
		var got seen
		c, begun := e.consumer("q"), time.Now()
		if err := c.Start(e.ctx, nil); !isValidation(err) {
			t.Errorf("a nil handler: %v", err)
		}
		if err := c.Start(e.ctx, got.handler); err != nil || time.Since(begun) < 5*time.Second || !e.conn.State().Ready() {
			t.Errorf("after %s: %v, state %+v", time.Since(begun), err, e.conn.State())
		}
		synctest.Wait()
		e.wantSeen(&got, numbers(1, 1))
		if err := c.Start(e.ctx, got.handler); !errors.Is(err, consumer.ErrStarted) || c.Err() != nil {
			t.Errorf("again: %v, %v", err, c.Err())
		}
		if err := e.consumer("none").Start(e.ctx, got.handler); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("an unknown queue: %v", err)
		}
		ctx, cancel := context.WithTimeout(e.ctx, time.Second)
		defer cancel()
		if err := e.consumer("q").Start(ctx, got.handler); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("its context ended before the answer: %v", err)
		}
		if err := c.Stop(e.ctx); err != nil || c.Err() != nil {
			t.Errorf("%v, %v", err, c.Err())
		}
	})
}

// What ended for good is missed until it is stopped, or there is another one in its place.
func TestAConsumerThatEndedIsMissed(t *testing.T) {
	inBubble(t, func(e *env) {
		handle := func(context.Context, *core.Delivery) error { return nil }
		for range 3 { // as a program does that tries again by itself
			if err := e.consumer("q").Start(e.ctx, handle); !errors.Is(err, core.ErrNotFound) {
				t.Fatal(err)
			}
			e.broker.Cut() // it is missed on the next connection too
			if _, err := e.conn.SessionAfter(e.ctx, e.conn.State().Epoch); err != nil {
				t.Fatal(err)
			}
			s := e.conn.State()
			if s.Ready() || len(s.Degraded) != 1 || !errors.Is(s.Degraded[0], core.ErrNotFound) || !errors.Is(e.conn.Health().Err(), core.ErrNotFound) {
				t.Fatalf("state %+v", s)
			}
		}
		e.queue("q", nil)
		c := e.consumer("q")
		if err := c.Start(e.ctx, handle); err != nil || !e.conn.State().Ready() {
			t.Errorf("%v, state %+v", err, e.conn.State())
		}
		if err := c.Stop(e.ctx); err != nil {
			t.Error(err)
		}
	})
}

func isValidation(err error) bool {
	_, ok := errs.AsType[*core.ValidationError](err)
	return ok
}

// A slow consumer with automatic ack is cancelled and handles all that has
// come before it goes on: nobody would deliver that again.
func TestAutoAckHandlesWhatHasArrived(t *testing.T) {
	for name, kill := range map[string]func(e *env, size *int){
		"overflow":   func(_ *env, size *int) { *size = core.DefaultConsumerBytes / 40 },
		"connection": func(e *env, _ *int) { time.AfterFunc(90*time.Second, func() { e.broker.Cut() }) },
		"cancel":     func(e *env, _ *int) { time.AfterFunc(90*time.Second, func() { e.broker.CancelConsumer("tag") }) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				const messages = 100
				e.queue("q", nil)
				size := 1000
				kill(e, &size)
				var got seen
				r := e.run("q", func(ctx context.Context, d *core.Delivery) error {
					time.Sleep(time.Second)
					if ctx.Err() != nil {
						t.Errorf("the context of message %d has ended: %v", len(got.all())+1, context.Cause(ctx))
					}
					got.add(&core.Delivery{})
					return nil
				}, consumer.AutoAck(), consumer.Tag("tag"))
				ch := e.channel()
				for range messages {
					if err := ch.Publish(e.ctx, &core.Publishing{RoutingKey: "q", Body: make([]byte, size)}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Minute)
				if n := len(got.all()); n != messages {
					t.Errorf("%d handled; want %d", n, messages)
				}
				if name == "overflow" && e.count(recovery.EventConsumerLost) == 0 {
					t.Error("the consumer was never too slow")
				}
				e.wantQueue("q", 0, 0, 1)
				_ = ch.Conn().Close(e.ctx)
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// While a consumer with automatic ack that is no longer subscribed handles what has arrived, nobody is told that
// it consumes.
func TestAutoAckIsNotReadyWhileItEmptiesItsInbox(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var got seen
		r := e.run("q", func(_ context.Context, d *core.Delivery) error {
			time.Sleep(time.Minute)
			got.add(d)
			return nil
		}, consumer.AutoAck(), consumer.Tag("tag"), consumer.Name("slow"))
		e.publish("q", 1, 5)
		synctest.Wait()
		e.broker.CancelConsumer("tag")
		synctest.Wait()
		if s := e.conn.State(); s.Stage != recovery.StagePublishReady || len(s.Degraded) != 1 || !errors.Is(s.Degraded[0], core.ErrCancelled) {
			t.Errorf("state %+v while nobody consumes", s)
		}
		if all := e.of(recovery.EventConsumerLost); len(all) != 1 || all[0].Entity != "slow" || !errors.Is(all[0].Err, core.ErrCancelled) {
			t.Errorf("events %+v", all)
		}
		e.wantQueue("q", 0, 0, 0)
		time.Sleep(6 * time.Minute)
		e.wantSeen(&got, numbers(1, 5))
		e.wantQueue("q", 0, 0, 1)
		if s := e.conn.State(); !s.Ready() || e.count(recovery.EventConsumerLost) != 1 {
			t.Errorf("state %+v, %d events", s, e.count(recovery.EventConsumerLost))
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// An exclusive queue that the broker still holds for the lost connection is
// waited for: to consume it would only be refused.
func TestAHeldQueueIsNotConsumedBeforeItIsBack(t *testing.T) {
	inBubble(t, func(e *env) {
		e.declare(topology.Topology{Queues: []topology.Queue{{Name: "mine", Exclusive: true}}})
		var got seen
		r := e.run("mine", got.handler)
		held := e.broker.OnReceive(wire.MethodQueueDeclare, brokertest.Always(brokertest.Refuse(405, "RESOURCE_LOCKED - locked queue 'mine'")))
		consumes := e.broker.OnReceive(wire.MethodBasicConsume, brokertest.Always(brokertest.Pass))
		e.broker.Cut()
		time.Sleep(3 * time.Second)
		if n := consumes.Hits(); n > 0 || held.Hits() == 0 {
			t.Errorf("consumed %d times while it was held, declared %d times", n, held.Hits())
		}
		if s := e.conn.State(); s.Stage != recovery.StagePublishReady || len(s.Degraded) != 1 {
			t.Errorf("state %+v", s)
		}
		held.Remove()
		if err := e.conn.Await(e.ctx, recovery.State.Ready); err != nil {
			t.Fatal(err)
		}
		if n := e.count(recovery.EventConsumerLost); n > 0 {
			t.Errorf("%d events of a lost consumer", n)
		}
		e.publish("mine", 1, 1)
		synctest.Wait()
		e.wantSeen(&got, numbers(1, 1))
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A consumer over which the broker closes the connection waits ever longer, by
// itself: others stay subscribed. RabbitMQ does that when it gives up asking a
// quorum queue without a leader.
func TestAConsumerThatClosesConnectionsIsIsolated(t *testing.T) {
	inBubble(t, func(e *env) {
		for _, queue := range []string{"good", "also good", "bad"} {
			e.queue(queue, nil)
		}
		var got, gotBad seen
		all := []*running{e.run("good", got.handler), e.run("also good", got.handler), e.run("bad", gotBad.handler, consumer.Name("bad one"))}
		hook := e.broker.OnReceive(wire.MethodBasicConsume, func(ev brokertest.Event) brokertest.Action {
			if m, ok := ev.Method.(*wire.BasicConsume); ok && m.Queue == "bad" {
				return brokertest.Refuse(541, "INTERNAL_ERROR - timed out consuming from quorum queue 'bad' in vhost '/'")
			}
			return brokertest.Pass
		})
		e.broker.Cut()
		time.Sleep(4 * time.Second) // less than until it is tried again
		if s := e.conn.State(); s.Stage != recovery.StagePublishReady || len(s.Degraded) != 1 || s.Degraded[0].Entity != "bad one" || !errors.Is(s.Degraded[0], core.ErrInternal) {
			t.Errorf("state %+v", s)
		}
		for minute := range 60 {
			e.wantQueue("good", 0, 0, 1)
			e.wantQueue("also good", 0, 0, 1)
			e.publish("good", minute, minute)
			time.Sleep(time.Minute)
		}
		if n := e.count(recovery.EventLost); n < 5 || n > 25 {
			t.Errorf("%d connections lost in an hour", n)
		}
		e.wantSeen(&got, numbers(0, 59))
		hook.Remove()
		e.publish("bad", 1, 1)
		if err := e.conn.Await(e.ctx, recovery.State.Ready); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		e.wantSeen(&gotBad, numbers(1, 1))
		for _, r := range all {
			if err := r.stop(); err != nil {
				t.Error(err)
			}
		}
	})
}

// The first subscription may be refused in that way too. It is told from one
// that was only on its way when another one was refused.
func TestAFirstSubscriptionThatClosesTheConnectionIsRefused(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("good", nil)
		e.queue("bad", nil)
		e.broker.OnReceive(wire.MethodBasicConsume, func(ev brokertest.Event) brokertest.Action {
			if m, ok := ev.Method.(*wire.BasicConsume); ok && m.Queue == "bad" {
				return brokertest.Refuse(541, "INTERNAL_ERROR - timed out consuming")
			}
			return brokertest.Delay(10 * time.Millisecond)
		})
		if _, err := e.conn.Session(e.ctx); err != nil {
			t.Fatal(err)
		}
		var got seen
		good := &running{e.consumer("good"), e, make(chan error, 1)}
		go func() { good.result <- good.Run(e.ctx, got.handler) }()
		bad := e.consumer("bad")
		if err := bad.Run(e.ctx, got.handler); !errors.Is(err, core.ErrInternal) {
			t.Errorf("%v", err)
		}
		_ = bad.Stop(e.ctx) // it is no longer missed
		synctest.Wait()     // the loss of its connection is noticed
		if err := e.conn.Await(e.ctx, recovery.State.Ready); err != nil {
			t.Fatal(err)
		}
		if n := e.count(recovery.EventLost); n > 2 {
			t.Errorf("%d connections lost", n)
		}
		e.wantQueue("good", 0, 0, 1)
		if err := good.stop(); err != nil {
			t.Error(err)
		}
	})
}

// Each loss of a consumer, with its connection or alone, is followed by one event that it is back.
func TestAConsumerThatIsBackIsTold(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var got seen
		r := e.run("q", got.handler, consumer.Name("orders"), consumer.Tag("tag"))
		for i, lose := range []func(){
			func() { e.broker.Cut() },
			func() { e.broker.CancelConsumer("tag") },
			func() { e.broker.CloseChannels(406, "PRECONDITION_FAILED - test") },
		} {
			if n := e.count(recovery.EventConsumerRestored); n != i {
				t.Fatalf("told %d times after %d losses", n, i)
			}
			lose()
			time.Sleep(time.Minute)
			e.publish("q", i, i)
			synctest.Wait()
		}
		e.wantSeen(&got, numbers(0, 2))
		for _, event := range e.of(recovery.EventConsumerRestored) {
			if event.Entity != "orders" || event.Name != "tag" {
				t.Errorf("event %+v", event)
			}
		}
		if lost, back := e.count(recovery.EventConsumerLost), e.count(recovery.EventConsumerRestored); lost != 2 || back != 3 {
			t.Errorf("%d times lost alone, %d times back", lost, back)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// Losses in a row are met ever more slowly, but within ten seconds; after a calm life the next one is the first again.
func TestACalmLifeEndsASeriesOfLosses(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var got seen
		r := e.run("q", got.handler, consumer.Tag("tag"))
		const step = 10 * time.Millisecond
		lose := func() (attempt int, out time.Duration) {
			if e.broker.CancelConsumer("tag") != 1 {
				t.Fatal("no consumer")
			}
			begun := time.Now()
			for synctest.Wait(); len(e.broker.Consumers()) == 0; synctest.Wait() {
				time.Sleep(step)
			}
			lost := e.of(recovery.EventConsumerLost)
			return lost[len(lost)-1].Attempt, time.Since(begun)
		}
		time.Sleep(time.Minute)
		limit, longest := time.Duration(0), time.Duration(0)
		for i := range 100 {
			attempt, out := lose()
			if attempt != i+1 {
				t.Errorf("loss %d is called attempt %d", i+1, attempt)
			}
			if out > limit+step {
				t.Errorf("loss %d: out for %s; want %s at most", i+1, out, limit)
			}
			limit = min(max(2*limit, 25*time.Millisecond), 5*time.Second)
			longest = max(longest, out)
		}
		if longest < 4*time.Second {
			t.Errorf("after many losses never out for more than %s", longest)
		}
		time.Sleep(time.Minute)
		if attempt, out := lose(); attempt != 1 || out > step {
			t.Errorf("after a calm life: attempt %d, back after %s; want 1, at once", attempt, out)
		}
		if attempt, _ := lose(); attempt != 2 {
			t.Errorf("the one behind it: attempt %d; want 2", attempt)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// What a consumer was isolated for is over when it has subscribed: the next time it waits as at first.
func TestIsolationBeginsAnewAfterASubscription(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("bad", nil)
		var got seen
		r := e.run("bad", got.handler)
		for range 3 {
			hook := e.broker.OnReceive(wire.MethodBasicConsume, brokertest.Always(brokertest.Refuse(541, "INTERNAL_ERROR")))
			before := e.count(recovery.EventConsumerLost)
			e.broker.Cut()
			time.Sleep(time.Hour)
			var waits []time.Duration
			for _, event := range e.of(recovery.EventConsumerLost)[before:] {
				waits = append(waits, event.Delay)
			}
			grown := len(waits) >= 3
			for i, wait := range waits[:min(3, len(waits))] {
				bound := 5 * time.Second << i
				grown = grown && wait <= bound && wait >= bound-bound/8
			}
			if !grown {
				t.Errorf("waited %v; want 5s, 10s, 20s and so on", waits)
			}
			hook.Remove()
			if err := e.conn.Await(e.ctx, recovery.State.Ready); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}
