package warren_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

func nothing(context.Context, *warren.Delivery) error { return nil }

func TestStateIsStaged(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		if s := client.State(); s.Stage != recovery.StageConsumeReady || !s.Ready() {
			t.Errorf("%+v with no consumer", s)
		}
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		go func() { _ = client.Consume(e.ctx, "q", nothing) }()
		synctest.Wait()
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
			t.Fatal(err)
		}
		declare := e.broker.OnReceive(wire.MethodQueueDeclare, brokertest.Always(brokertest.Delay(time.Second)))
		consume := e.broker.OnReceive(wire.MethodBasicConsume, brokertest.Always(brokertest.Delay(time.Second)))
		e.broker.Stop()
		time.Sleep(time.Minute)
		if s := client.State(); s.Stage != recovery.StageConnecting || s.Cause == nil {
			t.Errorf("%+v in an outage", s)
		}
		var stages []string
		seen := client.Listen(func(ev warren.Event) {
			if ev.Kind == recovery.EventStageChanged && ev.Connection == "main" {
				stages = append(stages, ev.State.Stage.String())
			}
		})
		defer seen()
		e.broker.Start()
		if err := client.AwaitReady(e.ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := fmt.Sprint(stages); got != "[connected publish-ready consume-ready]" {
			t.Errorf("stages %v", got)
		}
		declare.Remove()
		consume.Remove()
		e.close(client)
		if s := client.State(); s.Stage != recovery.StageClosed || !errors.Is(s.Cause, core.ErrClosed) {
			t.Errorf("%+v after close", s)
		}
	})
}

// A broker in alarm stops reading from publishers; acks must not wait for it.
// A connection that was given up is the client's state, whatever the other one does.
func TestAConnectionThatIsGivenUpIsTheClientsState(t *testing.T) {
	for i, name := range []string{"main", "publish"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				client := e.dial(warren.WithRecovery(func(c *recovery.Config) {
					c.Recover = func(context.Context, error) bool { return false }
				}))
				e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
				pub, err := client.Publisher()
				if err != nil {
					t.Fatal(err)
				}
				if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
					t.Fatal(err)
				}
				e.broker.Links()[i].Reset()
				synctest.Wait()
				if s := client.State(); s.Stage != recovery.StageClosed || s.Ready() || !errors.Is(s.Cause, core.ErrLost) {
					t.Errorf("state %+v", s)
				}
				if err := client.AwaitReady(e.ctx); !errors.Is(err, core.ErrLost) {
					t.Errorf("waited until it is ready: %v", err)
				}
				e.close(client)
			})
		})
	}
}

func TestABlockedBrokerDoesNotHoldUpAcks(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
				t.Fatal(err)
			}
		}
		e.broker.Block("low on memory")
		if _, err := pub.Send(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		go func() { _ = client.Consume(e.ctx, "q", nothing) }()
		time.Sleep(time.Second)
		if q, _ := e.broker.Queue("q"); q.Ready != 0 || q.Unacked != 0 {
			t.Errorf("%+v", q)
		}
		e.broker.Unblock()
		e.close(client)
	})
}

func TestReconnect(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q", Exclusive: true}}})
		maintenance := errors.New("maintenance")
		causes := make(chan error, 10)
		defer client.Listen(func(ev warren.Event) {
			if ev.Kind == recovery.EventLost {
				causes <- ev.Err
			}
		})()
		time.Sleep(time.Minute)
		client.Reconnect(maintenance)
		if err := <-causes; !errors.Is(err, maintenance) {
			t.Errorf("cause %v", err)
		}
		if err := client.AwaitReady(e.ctx); err != nil {
			t.Fatal(err)
		}
		if s := client.State(); s.Epoch != 2 || len(e.broker.Connections()) != 1 {
			t.Errorf("%+v, %d connections", s, len(e.broker.Connections()))
		}
		client.Reconnect(nil)
		if err := <-causes; err == nil {
			t.Error("no cause")
		}
		e.close(client)
	})
}

// TestCloseEndsInEveryState is promise P7: within a bound, and no goroutine is
// left, or the bubble fails.
func TestCloseEndsInEveryState(t *testing.T) {
	for name, enter := range map[string]func(e *env, client *warren.Client){
		"idle":   func(*env, *warren.Client) {},
		"outage": func(e *env, _ *warren.Client) { e.broker.Stop(); time.Sleep(time.Minute) },
		"dialling": func(e *env, _ *warren.Client) {
			e.broker.OnConnect(func(l *brokertest.Link) { l.StallSending() })
			e.broker.Cut()
			time.Sleep(time.Second)
		},
		"replaying": func(e *env, _ *warren.Client) {
			e.broker.OnReceive(wire.MethodQueueDeclare, brokertest.Always(brokertest.Swallow))
			e.broker.Cut()
			time.Sleep(time.Second)
		},
		"the broker does not read": func(e *env, _ *warren.Client) {
			for _, l := range e.broker.Links() {
				l.StallReceiving()
			}
		},
		"blocked": func(e *env, client *warren.Client) {
			e.broker.Block("low on memory")
			pub, err := client.Publisher()
			if err != nil {
				e.Fatal(err)
			}
			go func() { _ = pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}) }()
			synctest.Wait()
			go func() { _ = pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}) }()
			synctest.Wait()
		},
	} {
		for _, drain := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, drain %t", name, drain), func(t *testing.T) {
				inBubble(t, func(e *env) {
					client := e.dial()
					e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
					go func() { _ = client.Consume(e.ctx, "q", nothing) }()
					pub, err := client.Publisher()
					if err != nil {
						t.Fatal(err)
					}
					if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
						t.Fatal(err)
					}
					enter(e, client)
					published := make(chan error, 1)
					go func() { published <- pub.Publish(context.Background(), warren.Message{RoutingKey: "q"}) }()
					synctest.Wait()
					ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
					defer cancel()
					begun := time.Now()
					if drain {
						_ = client.Drain(ctx) // in some states it can only fail
					} else {
						_ = client.Close(ctx)
					}
					if took := time.Since(begun); took > 20*time.Second {
						t.Errorf("took %s", took)
					}
					if err := <-published; time.Since(begun) > 25*time.Second {
						t.Errorf("the publish had its outcome after %s: %v", time.Since(begun), err)
					}
					if _, err := client.Publisher(); !errors.Is(err, core.ErrClosed) {
						t.Errorf("publisher after close: %v", err)
					}
					if err := client.Consume(e.ctx, "q", nothing); !errors.Is(err, core.ErrClosed) {
						t.Errorf("consume after close: %v", err)
					}
					if _, err := client.Channel(e.ctx); !errors.Is(err, core.ErrClosed) {
						t.Errorf("channel after close: %v", err)
					}
					if err := client.AwaitReady(e.ctx); !errors.Is(err, core.ErrClosed) {
						t.Errorf("await after close: %v", err)
					}
				})
			})
		}
	}
}

// TestDrainFinishesWhatWasBegun: handlers first, then what they have published.
func TestDrainFinishesWhatWasBegun(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "in"}, {Name: "out"}}})
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		var failed atomic.Int64
		go func() {
			_ = client.Consume(e.ctx, "in", func(ctx context.Context, d *warren.Delivery) error {
				time.Sleep(10 * time.Second)
				_, err := pub.Send(context.WithoutCancel(ctx), warren.Message{RoutingKey: "out", Body: d.Body})
				if err != nil {
					failed.Add(1)
				}
				return err
			})
		}()
		for range 3 {
			if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "in"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.ConfirmAfter(5*time.Second)))
		if err := client.Drain(e.ctx); err != nil {
			t.Error(err)
		}
		in, _ := e.broker.Queue("in")
		out, _ := e.broker.Queue("out")
		if in.Ready != 2 || out.Ready != 1 || failed.Load() != 0 || pub.Stats().Confirmed != 4 {
			t.Errorf("in %+v, out %+v, %d failed, %+v", in, out, failed.Load(), pub.Stats())
		}
	})
}

func TestListenersAndEvents(t *testing.T) {
	inBubble(t, func(e *env) {
		var first atomic.Int64
		client := e.dial(warren.WithListener(func(ev warren.Event) {
			if ev.Kind == recovery.EventOpened {
				first.Add(1)
			}
		}))
		ctx, cancel := context.WithCancel(e.ctx)
		events := client.Events(ctx)
		e.broker.Cut()
		for ev := range events {
			if ev.Kind == recovery.EventRecovered {
				if ev.Report == nil || ev.Report.Cause == nil || ev.Report.String() == "" {
					t.Errorf("report %v", ev.Report)
				}
				break
			}
		}
		cancel()
		stop := client.Listen(func(warren.Event) { t.Error("told after it was stopped") })
		stop()
		e.close(client)
		if first.Load() != 2 {
			t.Errorf("%d connections opened; want 2, the first included", first.Load())
		}
		for range client.Events(e.ctx) {
			t.Error("an event after close")
		}
	})
}

// Lists of what was made must not grow with what has ended.
func TestEndedPublishersAndConsumersAreForgotten(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		for range 100 {
			pub, err := client.Publisher(publisher.Exchange("x"))
			if err != nil {
				t.Fatal(err)
			}
			if err := pub.Close(e.ctx); err != nil {
				t.Fatal(err)
			}
			cons, err := client.Consumer("q")
			if err != nil {
				t.Fatal(err)
			}
			if err := cons.Stop(e.ctx); err != nil {
				t.Fatal(err)
			}
		}
		if n := warren.Members(client); n > 2 {
			t.Errorf("%d are remembered", n)
		}
		e.close(client)
	})
}

// TestDrainWaitsForTheBroker: begun in an outage, it ends when everything that
// was accepted is confirmed.
func TestDrainWaitsForTheBroker(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		go func() { _ = client.Consume(e.ctx, "other", nothing) }()
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
			t.Fatal(err)
		}
		e.broker.Stop()
		for range 3 {
			if _, err := pub.Send(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
				t.Fatal(err)
			}
		}
		time.AfterFunc(time.Minute, e.broker.Start)
		begun := time.Now()
		ctx, cancel := context.WithTimeout(e.ctx, 10*time.Minute)
		defer cancel()
		if err := client.Drain(ctx); err != nil || time.Since(begun) < time.Minute {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		if q, _ := e.broker.Queue("q"); q.Ready != 4 {
			t.Errorf("%d messages; want 4", q.Ready)
		}
		if n := pub.Stats().Open; n != 0 {
			t.Errorf("%d without an outcome", n)
		}
	})
}
