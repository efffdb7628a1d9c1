package consumer_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// TestStopIsOrderly: running handlers finish and are acked, nothing new is
// begun, what was prefetched goes back.
func TestStopIsOrderly(t *testing.T) {
	for name, stop := range map[string]func(r *running, cancel context.CancelFunc){
		"Stop":    func(r *running, _ context.CancelFunc) { _ = r.Stop(context.Background()) },
		"context": func(_ *running, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				e.publish("q", 1, 10)
				ctx, cancel := context.WithCancel(e.ctx)
				defer cancel()
				var got seen
				r := &running{e.consumer("q", consumer.Workers(2), consumer.Prefetch(6)), e, make(chan error, 1)}
				go func() {
					r.result <- r.Run(ctx, func(ctx context.Context, d *core.Delivery) error {
						time.Sleep(10 * time.Second)
						got.add(d)
						return ctx.Err() // it has not ended
					})
				}()
				time.Sleep(time.Second)
				e.wantQueue("q", 4, 6, 1)
				go stop(r, cancel)
				time.Sleep(time.Second)
				e.wantQueue("q", 8, 2, 0) // cancelled, what is not begun is back, and the handlers go on
				begun := time.Now()
				if err := <-r.result; err != nil || time.Since(begun) != 8*time.Second {
					t.Errorf("%v after %s", err, time.Since(begun))
				}
				all := got.all()
				slices.Sort(all)
				if !slices.Equal(all, numbers(1, 2)) {
					t.Errorf("handled %v", all)
				}
				e.wantQueue("q", 8, 0, 0)
				<-r.Done()
			})
		})
	}
}

// TestStopGivesBackInOneFrame: a quorum queue may count as failed what a channel that ends soon has given back in many.
func TestStopGivesBackInOneFrame(t *testing.T) {
	for name, result := range map[string]error{"not begun": nil, "waiting": consumer.ErrRequeue} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				e.publish("q", 1, 50)
				pause := 50 * time.Millisecond
				if result != nil {
					pause = 0
				}
				nacks := e.broker.OnReceive(wire.MethodBasicNack, func(brokertest.Event) brokertest.Action { return brokertest.Pass })
				r := e.run("q", func(context.Context, *core.Delivery) error {
					time.Sleep(pause)
					return result
				}, consumer.Prefetch(50), consumer.RequeuePause(time.Minute, time.Minute))
				time.Sleep(25 * time.Millisecond)
				before := nacks.Hits() // the first time a message is given back at once
				r.stop()
				if n := nacks.Hits() - before; n != 1 {
					t.Errorf("%d frames", n)
				}
				left := 49
				if result != nil {
					left = 50
				}
				e.wantQueue("q", left, 0, 0)
			})
		})
	}
}

// TestWhatFailsWhileStoppingComesNoMore: it is given back behind the cancel, or it would come at once, and each time count.
func TestWhatFailsWhileStoppingComesNoMore(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", wire.Table{"x-queue-type": "quorum"})
		e.publish("q", 1, 20)
		for range 20 {
			ctx, cancel := context.WithCancel(e.ctx)
			var calls atomic.Int64
			r := e.consumer("q", consumer.Workers(8))
			_ = r.Run(ctx, func(context.Context, *core.Delivery) error {
				calls.Add(1)
				cancel()
				return errBad
			})
			if n := calls.Load(); n > 20 {
				e.Errorf("%d calls for 20 messages", n)
			}
		}
	}, brokertest.WithVersion("4.0"))
}

func TestStopDoesNotWaitForEverForHandlers(t *testing.T) {
	for _, test := range []struct {
		name    string
		ignores bool
		want    error
		within  time.Duration
	}{
		{"handlers that notice", false, nil, 5 * time.Second},
		{"handlers that do not", true, consumer.ErrHandlers, 6 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				e.publish("q", 1, 1)
				release := make(chan struct{})
				causes := make(chan error, 1)
				r := e.run("q", func(ctx context.Context, d *core.Delivery) error {
					<-ctx.Done()
					causes <- context.Cause(ctx)
					if test.ignores {
						<-release
					}
					return ctx.Err()
				}, consumer.StopTimeout(5*time.Second))
				synctest.Wait()
				begun := time.Now()
				if err := r.stop(); !errors.Is(err, test.want) || time.Since(begun) != test.within {
					t.Errorf("%v after %s; want %v after %s", err, time.Since(begun), test.want, test.within)
				}
				if err := <-causes; !errors.Is(err, consumer.ErrStopped) {
					t.Errorf("cause %v", err)
				}
				e.wantQueue("q", 1, 0, 0)
				close(release)
			})
		})
	}
}

// TestStopEndsInEveryState: within a bound, and leaves no goroutine.
func TestStopEndsInEveryState(t *testing.T) {
	for name, enter := range map[string]func(e *env) func(){
		"no connection": func(e *env) func() { e.broker.Stop(); return nil },
		"dialling": func(e *env) func() {
			e.broker.OnConnect(func(l *brokertest.Link) { l.StallSending() })
			return nil
		},
		"opening a channel": func(e *env) func() {
			return e.broker.OnReceive(wire.MethodChannelOpen, brokertest.Always(brokertest.Swallow)).Remove
		},
		"setting the prefetch": func(e *env) func() {
			return e.broker.OnReceive(wire.MethodBasicQos, brokertest.Always(brokertest.Swallow)).Remove
		},
		"subscribing": func(e *env) func() {
			return e.broker.OnReceive(wire.MethodBasicConsume, brokertest.Always(brokertest.Swallow)).Remove
		},
		"cancelling is not answered": func(e *env) func() {
			return e.broker.OnReceive(wire.MethodBasicCancel, brokertest.Always(brokertest.Swallow)).Remove
		},
		"closing is not answered": func(e *env) func() {
			return e.broker.OnReceive(wire.MethodChannelClose, brokertest.Always(brokertest.Swallow)).Remove
		},
		"consuming": func(e *env) func() { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				enter(e)
				c := e.consumer("q")
				result := make(chan error, 1)
				go func() {
					result <- c.Run(e.ctx, func(context.Context, *core.Delivery) error { return nil })
				}()
				synctest.Wait()
				begun := time.Now()
				if err := c.Stop(e.ctx); err != nil {
					t.Error(err)
				}
				if err := <-result; err != nil {
					t.Error(err)
				}
				if took := time.Since(begun); took > 15*time.Second {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

func TestAConsumerIsStartedOnce(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		handle := func(context.Context, *core.Delivery) error { return nil }
		r := e.run("q", handle)
		if err := r.Run(e.ctx, handle); !errors.Is(err, consumer.ErrStarted) {
			t.Errorf("a second Run: %v", err)
		}
		for _, err := range r.All(e.ctx) {
			if !errors.Is(err, consumer.ErrStarted) {
				t.Errorf("All after Run: %v", err)
			}
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		c := e.consumer("q")
		if err := c.Stop(e.ctx); err != nil {
			t.Error(err)
		}
		if err := c.Run(e.ctx, handle); !errors.Is(err, consumer.ErrStopped) {
			t.Errorf("Run after Stop: %v", err)
		}
	})
}

func TestClosedConnectionEndsTheConsumer(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		r := e.run("q", func(context.Context, *core.Delivery) error { return nil })
		if err := e.conn.Close(e.ctx); err != nil {
			t.Fatal(err)
		}
		if err := <-r.result; !errors.Is(err, core.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

func TestAll(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		e.publish("q", 1, 20)
		c := e.consumer("q", consumer.Prefetch(3))
		var got []string
		for d, err := range c.All(e.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 5 {
				synctest.Wait() // the acks so far are written
				e.broker.Cut()
				synctest.Wait()
				if err := d.Ack(); !errors.Is(err, core.ErrStale) {
					t.Errorf("ack: %v", err)
				}
				got = append(got, "stale")
				continue
			}
			got = append(got, string(d.Body))
			if err := d.Ack(); err != nil {
				t.Error(err)
			}
			if len(got) == 10 {
				break
			}
		}
		want := append(numbers(1, 5), append([]string{"stale"}, numbers(6, 9)...)...)
		if !slices.Equal(got, want) {
			t.Errorf("got %v; want %v", got, want)
		}
		<-c.Done()
		e.wantQueue("q", 11, 0, 0)
	})
}

func TestAllEnds(t *testing.T) {
	bye := errors.New("bye")
	for _, test := range []struct {
		name string
		end  func(e *env, c *consumer.Consumer, cancel context.CancelCauseFunc)
		want error
	}{
		{"with its context", func(_ *env, _ *consumer.Consumer, cancel context.CancelCauseFunc) { cancel(bye) }, bye},
		{"with Stop", func(_ *env, c *consumer.Consumer, _ context.CancelCauseFunc) { _ = c.Stop(context.Background()) }, consumer.ErrStopped},
		{"with the connection", func(e *env, _ *consumer.Consumer, _ context.CancelCauseFunc) { _ = e.conn.Close(context.Background()) }, core.ErrClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				ctx, cancel := context.WithCancelCause(e.ctx)
				defer cancel(nil)
				c := e.consumer("q")
				go func() {
					time.Sleep(time.Second)
					test.end(e, c, cancel)
				}()
				ends := 0
				for d, err := range c.All(ctx) {
					if ends++; d != nil || !errors.Is(err, test.want) {
						t.Errorf("%v, %v; want %v", d, err, test.want)
					}
				}
				if ends != 1 {
					t.Errorf("%d pairs; want one", ends)
				}
				<-c.Done()
			})
		})
	}
}

// A consumer that ends by itself is told of, one that the application stops is not.
func TestTheEndOfAConsumerIsTold(t *testing.T) {
	inBubble(t, func(e *env) {
		e.conn = session.New(session.Config{
			Config:   recovery.Config{Network: recovery.Budget{Attempts: 2}},
			Emit:     e.emit,
			Resolver: recovery.Endpoints(core.Config{Addr: "broker:5672", DialContext: e.dial}),
		})
		e.queue("q", nil)
		handle := func(context.Context, *core.Delivery) error { return nil }
		if err := e.run("q", handle).stop(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(e.ctx)
		cancelled := make(chan error, 1)
		go func() { cancelled <- e.consumer("q").Run(ctx, handle) }()
		synctest.Wait()
		cancel()
		if err := <-cancelled; err != nil {
			t.Error(err)
		}
		if n := e.count(recovery.EventConsumerEnded); n != 0 {
			t.Errorf("%d events of what was stopped", n)
		}
		refused := e.consumer("none", consumer.Name("refused"))
		if err := refused.Run(e.ctx, handle); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("%v", err)
		}
		_ = refused.Stop(e.ctx) // it is no longer missed
		if all := e.of(recovery.EventConsumerEnded); len(all) != 1 || all[0].Entity != "refused" || !errors.Is(all[0].Err, core.ErrNotFound) {
			t.Errorf("%+v", all)
		}
		r := e.run("q", handle, consumer.Name("left"))
		e.broker.Stop()
		err := <-r.result
		if all := e.of(recovery.EventConsumerEnded); len(all) != 2 || all[1].Entity != "left" || err == nil || !errors.Is(err, all[1].Err) {
			t.Errorf("%v, events %+v", err, all)
		}
	})
}

// Whoever stops a consumer from within waits for itself: not for ever, and it is told.
func TestStopFromWithinEnds(t *testing.T) {
	const timeout = 5 * time.Second
	t.Run("loop", func(t *testing.T) {
		inBubble(t, func(e *env) {
			e.queue("q", nil)
			e.publish("q", 1, 3)
			c := e.consumer("q", consumer.StopTimeout(timeout))
			pairs := 0
			for d, err := range c.All(e.ctx) {
				if pairs++; pairs == 2 {
					if d != nil || !errors.Is(err, consumer.ErrStopped) {
						t.Errorf("after the stop: %v, %v", d, err)
					}
					if err := c.Stop(e.ctx); !errors.Is(err, consumer.ErrHandlers) {
						t.Errorf("a second stop: %v", err)
					}
					continue
				}
				begun := time.Now()
				if err := c.Stop(e.ctx); !errors.Is(err, consumer.ErrHandlers) || time.Since(begun) > timeout {
					t.Errorf("%v after %s", err, time.Since(begun))
				}
				if err := d.Ack(); !errors.Is(err, core.ErrStale) {
					t.Errorf("ack: %v", err)
				}
				e.wantQueue("q", 3, 0, 0)
			}
			if pairs != 2 {
				t.Errorf("%d pairs", pairs)
			}
		})
	})
	t.Run("handler", func(t *testing.T) {
		inBubble(t, func(e *env) {
			e.queue("q", nil)
			stopped := make(chan error, 1)
			var r *running
			r = e.run("q", func(context.Context, *core.Delivery) error {
				stopped <- r.Stop(context.Background())
				return nil
			}, consumer.StopTimeout(timeout))
			begun := time.Now()
			e.publish("q", 1, 1)
			if err := <-stopped; !errors.Is(err, consumer.ErrHandlers) || time.Since(begun) > timeout+time.Second {
				t.Errorf("%v after %s", err, time.Since(begun))
			}
			if err := <-r.result; !errors.Is(err, consumer.ErrHandlers) {
				t.Error(err)
			}
			e.wantQueue("q", 1, 0, 0)
		})
	})
}
