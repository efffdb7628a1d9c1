package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/recovery"
)

// TestResultsSettleTheDelivery: a handler's first result, and what becomes of
// the message. It is acked the second time.
func TestResultsSettleTheDelivery(t *testing.T) {
	bad := errors.New("bad luck")
	for _, test := range []struct {
		name   string
		handle consumer.Handler
		calls  int
		after  time.Duration // of the second call
		dead   int           // messages in the dead-letter queue
		stats  consumer.Stats
		failed int // events
	}{
		{"nil", func(context.Context, *core.Delivery) error { return nil }, 1, 0, 0, consumer.Stats{Acked: 1}, 0},
		{"reject", func(context.Context, *core.Delivery) error { return fmt.Errorf("no: %w", consumer.ErrReject) }, 1, 0, 1, consumer.Stats{Rejected: 1}, 0},
		{"requeue", func(context.Context, *core.Delivery) error { return consumer.ErrRequeue }, 2, 0, 0, consumer.Stats{Acked: 1, Requeued: 1}, 0},
		{"error", func(context.Context, *core.Delivery) error { return bad }, 2, time.Second, 0, consumer.Stats{Acked: 1, Requeued: 1}, 1},
		{"panic", func(context.Context, *core.Delivery) error { panic(bad) }, 2, time.Second, 0, consumer.Stats{Acked: 1, Requeued: 1}, 1},
		{"settled by the handler", func(_ context.Context, d *core.Delivery) error { return errors.Join(d.Ack()) }, 1, 0, 0, consumer.Stats{}, 0},
		{"settled, and an error", func(_ context.Context, d *core.Delivery) error { return errors.Join(d.Ack(), bad) }, 1, 0, 0, consumer.Stats{}, 0},
		{"rejected, and an error", func(_ context.Context, d *core.Delivery) error { return errors.Join(d.Reject(false), bad) }, 1, 0, 1, consumer.Stats{}, 0},
		{"settled, and a panic", func(_ context.Context, d *core.Delivery) error { panic(errors.Join(d.Ack(), bad)) }, 1, 0, 0, consumer.Stats{}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("dead", nil)
				e.queue("q", wire.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
				var calls atomic.Int64
				var first, last time.Time
				r := e.run("q", func(ctx context.Context, d *core.Delivery) error {
					last = time.Now()
					if calls.Add(1) > 1 {
						return nil
					}
					first = last
					return test.handle(ctx, d)
				}, consumer.RequeuePause(time.Second, time.Minute))
				e.publish("q", 1, 1)
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := calls.Load(); n != int64(test.calls) || last.Sub(first) > test.after || last.Sub(first) < test.after-test.after/8 {
					t.Errorf("%d calls, the last %s after the first; want %d, %s", n, last.Sub(first), test.calls, test.after)
				}
				e.wantQueue("q", 0, 0, 1)
				e.wantQueue("dead", test.dead, 0, 0)
				if s := r.Stats(); s != test.stats {
					t.Errorf("stats %+v; want %+v", s, test.stats)
				}
				if n := e.count(recovery.EventHandlerFailed); n != test.failed {
					t.Errorf("%d events of failed handlers; want %d", n, test.failed)
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A result that means nothing holds up nothing: the worker does not rest over it.
func TestAnErrorAfterSettlingDoesNotHoldUpTheWorker(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var got seen
		r := e.run("q", func(_ context.Context, d *core.Delivery) error {
			got.add(d)
			return errors.Join(d.Ack(), errors.New("bad luck"))
		})
		begun := time.Now()
		e.publish("q", 1, 20)
		synctest.Wait()
		e.wantSeen(&got, numbers(1, 20))
		if took := time.Since(begun); took != 0 {
			t.Errorf("took %s", took)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestPanicIsReportedWithItsStack(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		bad := errors.New("bad luck")
		r := e.run("q", func(context.Context, *core.Delivery) error { panic(bad) })
		e.publish("q", 1, 1)
		synctest.Wait()
		e.mu.Lock()
		last := e.events[len(e.events)-1]
		e.mu.Unlock()
		p, ok := errs.AsType[*consumer.PanicError](last.Err)
		if !ok || !errors.Is(last.Err, bad) || len(p.Stack) == 0 || last.Kind != recovery.EventHandlerFailed {
			t.Errorf("event %v: %v", last.Kind, last.Err)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestAMessageThatAlwaysFailsIsRetriedEverSlower(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var calls atomic.Int64
		r := e.run("q", func(context.Context, *core.Delivery) error {
			calls.Add(1)
			return errors.New("bad luck")
		})
		e.publish("q", 1, 1)
		time.Sleep(10 * time.Minute)
		if n := calls.Load(); n < 60 || n > 80 {
			t.Errorf("%d calls in ten minutes; want one each 10 s in the end", n)
		}
		begun := time.Now()
		if err := r.stop(); err != nil || time.Since(begun) > 0 {
			t.Errorf("%v, after %s; want a stop that does not wait for the pause", err, time.Since(begun))
		}
		e.wantQueue("q", 1, 0, 0)
	})
}

func TestHandlerTimeout(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		causes := make(chan error, 10)
		r := e.run("q", func(ctx context.Context, d *core.Delivery) error {
			if d.Redelivered {
				return nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		}, consumer.Timeout(time.Minute))
		e.publish("q", 1, 1)
		begun := time.Now()
		if err := <-causes; !errors.Is(err, core.ErrTimeout) || time.Since(begun) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		time.Sleep(time.Second)
		e.wantQueue("q", 0, 0, 1)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestAcksAreTrue is half of promise P2: an ack is written only for a message
// whose handler has succeeded, and on the channel that brought it.
func TestAcksAreTrue(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		release := make(chan struct{})
		r := e.run("q", func(context.Context, *core.Delivery) error {
			<-release
			return nil
		})
		e.publish("q", 1, 3)
		e.wantQueue("q", 0, 3, 1)
		release <- struct{}{}
		e.wantQueue("q", 0, 2, 1)
		close(release)
		e.wantQueue("q", 0, 0, 1)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestSlowHandlersAreReported(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		r := e.run("q", func(_ context.Context, d *core.Delivery) error {
			if string(d.Body) == "2" {
				time.Sleep(20 * time.Minute)
			}
			return nil
		}, consumer.WarnAfter(15*time.Minute))
		e.publish("q", 1, 3)
		time.Sleep(14 * time.Minute)
		if n := e.count(recovery.EventHandlerSlow); n != 0 {
			t.Errorf("%d warnings too early", n)
		}
		time.Sleep(time.Hour)
		if n := e.count(recovery.EventHandlerSlow); n != 2 {
			t.Errorf("%d warnings; want that of the slow one, and that of the one that waited behind it", n)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// RabbitMQ's consumer timeout runs from when it sends a message: those that wait
// in the prefetch are warned of too, although each handler is quick.
func TestDeliveriesThatWaitForLongAreReported(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		begun := time.Now()
		r := e.run("q", func(context.Context, *core.Delivery) error {
			time.Sleep(2 * time.Minute)
			return nil
		}, consumer.WarnAfter(15*time.Minute))
		e.publish("q", 1, 20)
		time.Sleep(15*time.Minute - time.Since(begun) - time.Second)
		if n := e.count(recovery.EventHandlerSlow); n != 0 {
			t.Errorf("%d warnings too early", n)
		}
		time.Sleep(2 * time.Second)
		if n := e.count(recovery.EventHandlerSlow); n != 1 {
			t.Errorf("%d warnings after a quarter of an hour; want that of the message that is being handled", n)
		}
		time.Sleep(time.Hour)
		if n := e.count(recovery.EventHandlerSlow); n != 13 {
			t.Errorf("%d warnings; want one for each of the last 13 messages", n)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestIdleWorkersAreReported: those above the prefetch never get anything to do.
func TestIdleWorkersAreReported(t *testing.T) {
	for _, test := range []struct {
		name string
		opts []consumer.Option
		want int
	}{
		{"more workers than prefetch", []consumer.Option{consumer.Workers(8), consumer.Prefetch(4)}, 1},
		{"as many", []consumer.Option{consumer.Workers(8), consumer.Prefetch(8)}, 0},
		{"the default prefetch grows", []consumer.Option{consumer.Workers(500)}, 0},
		{"no prefetch counts", []consumer.Option{consumer.Workers(8), consumer.Prefetch(4), consumer.AutoAck()}, 0},
	} {
		inBubble(t, func(e *env) {
			e.queue("q", nil)
			r := e.run("q", func(context.Context, *core.Delivery) error { return nil }, test.opts...)
			e.broker.Cut()
			time.Sleep(time.Minute) // told once, and not for each subscription
			if n := e.count(recovery.EventWarning); n != test.want {
				t.Errorf("%s: %d warnings", test.name, n)
			}
			if err := r.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}
