package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/recovery"
)

// TestStaleDeliveriesNeverReachTheHandler is promise P3: what was prefetched
// when the channel died is not handled, the handler that is running learns of
// it at once, and its ack is refused.
func TestStaleDeliveriesNeverReachTheHandler(t *testing.T) {
	for name, kill := range map[string]func(e *env){
		"connection": func(e *env) { e.broker.Cut() },
		"channel":    func(e *env) { e.broker.CloseChannels(406, "PRECONDITION_FAILED - test") },
		"cancel":     func(e *env) { e.broker.CancelConsumer("tag") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				var got seen
				causes := make(chan error, 1)
				acks := make(chan error, 1)
				r := e.run("q", func(ctx context.Context, d *core.Delivery) error {
					got.add(d)
					if len(got.all()) == 1 {
						<-ctx.Done()
						causes <- context.Cause(ctx)
						time.Sleep(time.Minute) // the others wait in the buffer, and must not come out of it
						acks <- d.Ack()
					}
					return nil
				}, consumer.Tag("tag"))
				e.publish("q", 1, 3)
				synctest.Wait()
				begun := time.Now()
				kill(e)
				if err := <-causes; !errors.Is(err, core.ErrStale) || time.Since(begun) != 0 {
					t.Errorf("cause %v after %s; want stale, at once", err, time.Since(begun))
				}
				if err := <-acks; !errors.Is(err, core.ErrStale) {
					t.Errorf("ack: %v; want stale", err)
				}
				time.Sleep(time.Minute)
				// 1 and 2 and 3 come again, and each once.
				all := got.all()
				slices.Sort(all)
				if !slices.Equal(all, []string{"1", "1", "2", "3"}) {
					t.Errorf("handled %v", got.all())
				}
				e.wantQueue("q", 0, 0, 1)
				if s := r.Stats(); s.Stale != 1 || s.Acked != 3 || s.Requeued != 0 {
					t.Errorf("stats %+v", s)
				}
				if e.count(recovery.EventHandlerFailed) > 0 {
					t.Error("a lost channel counts as a failure of the handler")
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestHandlerLearnsOfALossWhileStopping(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		causes := make(chan error, 1)
		r := e.run("q", func(ctx context.Context, _ *core.Delivery) error {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		})
		e.publish("q", 1, 1)
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- r.stop() }()
		time.Sleep(time.Second)
		begun := time.Now()
		e.broker.Cut()
		if err := <-causes; !errors.Is(err, core.ErrStale) || time.Since(begun) != 0 {
			t.Errorf("cause %v after %s; want stale, at once", err, time.Since(begun))
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// TestEveryMessageIsHandledAcrossCuts cuts the connection at every byte that
// the broker sends, with several workers: each message is handled at least
// once, and none is left.
func TestEveryMessageIsHandledAcrossCuts(t *testing.T) {
	const messages = 3
	run := func(t *testing.T, way string, at int64, cuts int) (wrote, read int64) {
		inBubble(t, func(e *env) {
			e.queue("q", nil)
			e.publish("q", 1, messages)
			e.onDial = func(n int, s *memnet.Conn) {
				switch {
				case n > cuts:
				case way == "read":
					s.In().CutAfter(at)
				default:
					s.Out().CutAfter(at)
				}
			}
			var got seen
			r := e.run("q", got.handler, consumer.Workers(2), consumer.Prefetch(2))
			for left := 1; left > 0; {
				time.Sleep(time.Second)
				q, _ := e.broker.Queue("q")
				left = q.Ready + q.Unacked
			}
			handled := map[string]bool{}
			for _, body := range got.all() {
				handled[body] = true
			}
			if len(handled) != messages {
				t.Errorf("handled %v", got.all())
			}
			if err := r.stop(); err != nil {
				t.Error(err)
			}
			e.wantQueue("q", 0, 0, 0)
			last := e.sockets[len(e.sockets)-1]
			wrote, read = last.Out().Written(), last.In().Written()
		})
		return wrote, read
	}
	wrote, read := run(t, "", 0, 0)
	step := int64(1)
	if testing.Short() {
		step = 13
	}
	for at := int64(0); at < max(wrote, read) && !t.Failed(); at += step {
		for _, way := range []string{"written", "read"} {
			if way == "written" && at >= wrote || way == "read" && at >= read {
				continue
			}
			t.Run(fmt.Sprint(way, at), func(t *testing.T) { run(t, way, at, 2) })
		}
	}
}

func TestOneWorkerKeepsTheOrderAcrossLosses(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var got seen
		r := e.run("q", func(ctx context.Context, d *core.Delivery) error {
			time.Sleep(20 * time.Millisecond)
			got.add(d)
			return nil
		}, consumer.Prefetch(5))
		e.publish("q", 1, 100)
		for range 5 {
			time.Sleep(300 * time.Millisecond)
			e.broker.Cut()
		}
		time.Sleep(time.Minute)
		var firsts []string
		for _, body := range got.all() {
			if !slices.Contains(firsts, body) {
				firsts = append(firsts, body)
			}
		}
		if !slices.Equal(firsts, numbers(1, 100)) {
			t.Errorf("first handled in the order %v", firsts)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestWorkersRunAtOnce(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var mu sync.Mutex // guards the following
		now, most := 0, 0
		r := e.run("q", func(context.Context, *core.Delivery) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		}, consumer.Workers(4))
		e.publish("q", 1, 40)
		begun := time.Now()
		time.Sleep(10 * time.Second)
		e.wantQueue("q", 0, 0, 1)
		if most != 4 {
			t.Errorf("%d at once, after %s; want 4", most, time.Since(begun))
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A message that waits to be handled again goes back with its channel: it is handled when it comes again, and
// not before.
func TestWhatWaitsToBeHandledAgainGoesStaleToo(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var stale, calls, recovered atomic.Int64
		var well atomic.Bool
		busy, hold := make(chan struct{}), make(chan struct{})
		r := e.run("q", func(_ context.Context, d *core.Delivery) error {
			if d.Stale() != nil {
				stale.Add(1)
			}
			if string(d.Body) == "2" && !d.Redelivered {
				close(busy)
				<-hold
				return nil
			}
			if string(d.Body) == "1" && !well.Load() {
				calls.Add(1)
				return errors.New("bad luck")
			}
			recovered.Add(1)
			return nil
		}, consumer.Workers(1), consumer.RequeuePause(time.Second, time.Second))
		e.publish("q", 1, 1)
		time.Sleep(10*time.Second + 500*time.Millisecond) // it is held here by now, between two attempts
		if calls.Load() < 3 {
			t.Fatalf("%d attempts", calls.Load())
		}
		e.publish("q", 2, 2)
		<-busy
		time.Sleep(time.Minute) // its pause is over; the worker is not free
		well.Store(true)
		e.broker.Cut()
		synctest.Wait()
		close(hold)
		time.Sleep(time.Minute)
		if stale.Load() > 0 {
			t.Errorf("%d stale deliveries were handled", stale.Load())
		}
		if recovered.Load() != 2 {
			t.Errorf("%d handled in the end, want each of both once", recovered.Load())
		}
		e.wantQueue("q", 0, 0, 1)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A loop gets nothing of a subscription that has ended, also while the next one is waited for: it could only
// do the work twice.
func TestALoopIsGivenNothingStale(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		e.publish("q", 1, 5)
		c := e.consumer("q", consumer.Tag("tag"), consumer.Prefetch(10))
		var got []string
		for d, err := range c.All(e.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if d.Stale() != nil {
				t.Errorf("message %s is stale when it comes", d.Body)
			}
			if got = append(got, string(d.Body)); len(got) == 1 {
				for range 10 { // the last one is followed by a pause of some seconds
					for synctest.Wait(); e.broker.CancelConsumer("tag") == 0; synctest.Wait() {
						time.Sleep(time.Millisecond)
					}
				}
				synctest.Wait()
			}
			_ = d.Ack() // the first one is stale by now
			if len(got) == 6 {
				break
			}
		}
		if slices.Sort(got); !slices.Equal(got, []string{"1", "1", "2", "3", "4", "5"}) {
			t.Errorf("got %v", got)
		}
	})
}
