package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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

var errBad = errors.New("bad luck")

// onEachVersion runs a test against the broker in memory as each version of RabbitMQ.
func onEachVersion(t *testing.T, test func(e *env, version string)) {
	for _, version := range []string{"4.3", "4.0", "3.10"} {
		t.Run(version, func(t *testing.T) {
			inBubble(t, func(e *env) { test(e, version) }, brokertest.WithVersion(version))
		})
	}
}

// A message whose handler always fails is dead-lettered by the queue's limit, on every version.
func TestAFailureCountsAsAFailedDelivery(t *testing.T) {
	onEachVersion(t, func(e *env, _ string) {
		e.queue("dead", nil)
		e.queue("q", wire.Table{"x-queue-type": "quorum", "x-delivery-limit": int64(5), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
		var calls atomic.Int64
		r := e.run("q", func(context.Context, *core.Delivery) error {
			calls.Add(1)
			return errBad
		}, consumer.RequeuePause(10*time.Millisecond, 100*time.Millisecond))
		e.publish("q", 1, 1)
		time.Sleep(10 * time.Second)
		if n := calls.Load(); n != 6 {
			e.Errorf("%d calls; want 6", n)
		}
		e.wantQueue("q", 0, 0, 1)
		e.wantQueue("dead", 1, 0, 0)
		if err := r.stop(); err != nil {
			e.Error(err)
		}
	})
}

// What a handler gives back without having failed is not counted where the broker can tell, and does not go
// round and round as fast as it can.
func TestARequeueIsNoFailure(t *testing.T) {
	onEachVersion(t, func(e *env, version string) {
		e.queue("q", wire.Table{"x-queue-type": "quorum", "x-delivery-limit": int64(1000)})
		var calls atomic.Int64
		var counted atomic.Value
		r := e.run("q", func(_ context.Context, d *core.Delivery) error {
			calls.Add(1)
			v, ok := d.Header("x-delivery-count")
			counted.Store(fmt.Sprint(v, ok))
			return consumer.ErrRequeue
		})
		e.publish("q", 1, 1)
		time.Sleep(time.Minute)
		if n := calls.Load(); n < 8 || n > 20 {
			e.Errorf("%d calls in a minute", n)
		}
		if got := counted.Load(); (got == "<nil> false") != (version == "4.3") {
			e.Errorf("counted %v", got)
		}
		if n := e.count(recovery.EventHandlerFailed); n != 0 {
			e.Errorf("%d failures reported", n)
		}
		if err := r.stop(); err != nil {
			e.Error(err)
		}
	})
}

// Messages that fail let the good ones behind them through, whatever the queue does with what comes back, and
// however many there are; tried again they are at a bounded rate.
func TestMessagesThatFailKeepNoneWaiting(t *testing.T) {
	for _, kind := range []string{"quorum", "classic"} {
		for _, bad := range []int{60, 120, 700} {
			t.Run(fmt.Sprint(kind, bad), func(t *testing.T) {
				onEachVersion(t, func(e *env, _ string) {
					e.declare(topology.Topology{Queues: []topology.Queue{{Name: "q", Type: kind}}})
					e.publish("q", 1, bad+200)
					var calls, good atomic.Int64
					last := time.Now()
					var mu sync.Mutex
					begun := time.Now()
					r := e.run("q", func(_ context.Context, d *core.Delivery) error {
						calls.Add(1)
						if n := 0; func() bool { fmt.Sscan(string(d.Body), &n); return n <= bad }() {
							return errBad
						}
						good.Add(1)
						mu.Lock()
						defer mu.Unlock()
						last = time.Now()
						return nil
					}, consumer.Workers(8))
					time.Sleep(10 * time.Second)
					mu.Lock()
					took := last.Sub(begun)
					mu.Unlock()
					if good.Load() != 200 || took > 5*time.Second {
						e.Errorf("%d good ones handled, the last after %s", good.Load(), took)
					}
					if n := calls.Load() - 200; n > int64(bad)+1100 { // each once, and a hundred a second
						e.Errorf("%d failures in 10 s", n)
					}
					if err := r.stop(); err != nil {
						e.Error(err)
					}
					e.wantQueue("q", bad, 0, 0)
				})
			})
		}
	}
}

// The consumers that were added for messages that fail go when those do.
func TestFurtherConsumersGoWhenTheyAreNotNeeded(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var down atomic.Bool
		down.Store(true)
		r := e.run("q", func(context.Context, *core.Delivery) error {
			if down.Load() {
				return errBad
			}
			return nil
		}, consumer.Tag("mine"), consumer.RequeuePause(time.Second, time.Second))
		e.publish("q", 1, 500)
		time.Sleep(30 * time.Second)
		if q, _ := e.broker.Queue("q"); q.Consumers < 5 || q.Unacked < 450 {
			e.Errorf("%d consumers, %d unacked", q.Consumers, q.Unacked)
		}
		down.Store(false)
		time.Sleep(time.Minute)
		e.wantQueue("q", 0, 0, 1)
		e.publish("q", 1, 10)
		e.wantQueue("q", 0, 0, 1)
		if err := r.stop(); err != nil {
			e.Error(err)
		}
	})
}

// With a prefetch of one the order is kept: nothing passes a message that fails.
func TestAPrefetchOfOneKeepsTheOrder(t *testing.T) {
	onEachVersion(t, func(e *env, _ string) {
		e.queue("q", nil)
		var got seen
		r := e.run("q", func(_ context.Context, d *core.Delivery) error {
			got.add(d)
			if len(got.all()) < 4 {
				return errBad
			}
			return nil
		}, consumer.Prefetch(1))
		e.publish("q", 1, 3)
		time.Sleep(time.Minute)
		e.wantSeen(&got, []string{"1", "1", "1", "1", "2", "3"})
		if err := r.stop(); err != nil {
			e.Error(err)
		}
	})
}

// A queue whose failures end in nothing loses none of them while a handler fails for an hour, and who consumes it is told.
func TestAQueueWithoutDeadLettersLosesNothingWhileHandlersFail(t *testing.T) {
	onEachVersion(t, func(e *env, version string) {
		e.declare(topology.Topology{Queues: []topology.Queue{{Name: "q", Type: topology.Quorum}}})
		var down atomic.Bool
		down.Store(true)
		ok := map[string]bool{}
		var mu sync.Mutex
		r := e.run("q", func(_ context.Context, d *core.Delivery) error {
			if down.Load() {
				return errBad
			}
			mu.Lock()
			defer mu.Unlock()
			ok[string(d.Body)] = true
			return nil
		}, consumer.Prefetch(200), consumer.Workers(8))
		e.publish("q", 1, 8)
		time.Sleep(time.Hour)
		down.Store(false)
		time.Sleep(30 * time.Second)
		mu.Lock()
		if len(ok) != 8 {
			e.Errorf("%d of 8 handled", len(ok))
		}
		mu.Unlock()
		told := e.of(recovery.EventFailuresDropped)
		if want := version != "3.10"; (len(told) == 1) != want || want && !strings.Contains(told[0].Err.Error(), "DeadLetter") {
			e.Errorf("told %v", told)
		}
		if err := r.stop(); err != nil {
			e.Error(err)
		}
	})
}

// A service that is deployed again and again, with all defaults and handlers that never fail, loses nothing, though it
// has more prefetched each time than it handles.
func TestOrderlyDeploysCostNoDeliveries(t *testing.T) {
	for _, kind := range []string{"quorum", "classic"} {
		for name, takes := range map[string]time.Duration{"quick handlers": 50 * time.Millisecond, "slow handlers": 3 * time.Second, "very slow handlers": 12 * time.Second} {
			t.Run(kind+" "+name, func(t *testing.T) {
				onEachVersion(t, func(e *env, _ string) {
					const n = 60
					e.queue("q", wire.Table{"x-queue-type": kind})
					e.publish("q", 1, n)
					var mu sync.Mutex
					handled := map[string]bool{}
					got := make(chan struct{}, 1000)
					handle := func(_ context.Context, d *core.Delivery) error {
						time.Sleep(takes)
						mu.Lock()
						defer mu.Unlock()
						handled[string(d.Body)] = true
						got <- struct{}{}
						return nil
					}
					for range 25 {
						r := e.run("q", handle)
						for range 2 {
							select {
							case <-got:
							case <-time.After(time.Minute):
							}
						}
						begun := time.Now()
						if err := r.stop(); err != nil {
							e.Error(err)
						}
						if took := time.Since(begun); took > consumer.DefaultStopTimeout {
							e.Errorf("stopped after %s", took)
						}
						for len(got) > 0 {
							<-got
						}
					}
					r := e.run("q", handle, consumer.Workers(8))
					time.Sleep(10 * time.Minute)
					mu.Lock()
					if len(handled) != n {
						e.Errorf("%d of %d handled", len(handled), n)
					}
					mu.Unlock()
					if err := r.stop(); err != nil {
						e.Error(err)
					}
				})
			})
		}
	}
}

// Whatever ends a consumer in order, or its client, what was prefetched has not failed.
func TestWhatIsGivenBackHasNotFailed(t *testing.T) {
	for name, end := range map[string]func(r *running){
		"Stop": func(r *running) { _ = r.stop() },
		"Stop that has little time": func(r *running) {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			_ = r.Stop(ctx)
			<-r.result
		},
		"the connection is closed": func(r *running) {
			_ = r.e.conn.Close(r.e.ctx)
			<-r.result
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", wire.Table{"x-queue-type": "quorum"})
				e.publish("q", 1, 50)
				begun := make(chan struct{}, 100)
				r := e.run("q", func(ctx context.Context, d *core.Delivery) error {
					begun <- struct{}{}
					<-ctx.Done()
					return context.Cause(ctx)
				}, consumer.Workers(4), consumer.Prefetch(20))
				for range 4 {
					<-begun
				}
				end(r)
				synctest.Wait()
				ch := e.channel()
				defer func() { _ = ch.Conn().Close(e.ctx) }()
				for i := range 50 {
					d, err := ch.Get(e.ctx, core.BasicGet{Queue: "q"})
					if err != nil || d == nil {
						e.Fatal(i, d, err)
					}
					if n, counted := d.Header("x-delivery-count"); counted {
						e.Errorf("message %s counts %v failed deliveries", d.Body, n)
					}
				}
			})
		})
	}
}

// What a consumer that stops holds is begun while there is time to finish it, and not after, where giving it
// back would count.
func TestStopFinishesWhatWouldCount(t *testing.T) {
	for _, version := range []string{"4.0", "3.10"} {
		inBubble(t, func(e *env) {
			e.queue("q", wire.Table{"x-queue-type": "quorum"})
			e.publish("q", 1, 30)
			var got seen
			r := e.run("q", func(_ context.Context, d *core.Delivery) error {
				time.Sleep(time.Second)
				got.add(d)
				return nil
			}, consumer.StopTimeout(10*time.Second))
			e.wantQueue("q", 10, 20, 1) // the small prefetch
			begun := time.Now()
			if err := r.stop(); err != nil || time.Since(begun) != 5*time.Second && time.Since(begun) != 6*time.Second {
				e.Errorf("%v after %s", err, time.Since(begun))
			}
			all := got.all()
			if len(all) < 5 || !slices.Equal(all, numbers(1, len(all))) {
				e.Errorf("handled %v", all)
			}
			e.wantQueue("q", 30-len(all), 0, 0)
		}, brokertest.WithVersion(version))
	}
}

// What waits for another attempt goes with its channel, and is not settled on another.
func TestALossForgetsWhatWaits(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		var calls atomic.Int64
		r := e.run("q", func(_ context.Context, d *core.Delivery) error {
			if calls.Add(1) <= 10 {
				return errBad
			}
			return nil
		}, consumer.RequeuePause(time.Hour, time.Hour))
		e.publish("q", 1, 10)
		e.wantQueue("q", 0, 10, 1)
		e.mu.Lock()
		socket := e.sockets[len(e.sockets)-1]
		e.mu.Unlock()
		_ = socket.Close()
		time.Sleep(time.Minute)
		if n := calls.Load(); n != 20 {
			e.Errorf("%d calls; want each again after the loss", n)
		}
		e.wantQueue("q", 0, 0, 1)
		if err := r.stop(); err != nil {
			e.Error(err)
		}
	})
}

// A consumer of a queue that others have declared is told before the usual limit is reached.
func TestManyFailuresInAQueueOfOthersAreTold(t *testing.T) {
	onEachVersion(t, func(e *env, _ string) {
		e.queue("q", wire.Table{"x-queue-type": "quorum", "x-delivery-limit": int64(100)})
		var calls atomic.Int64
		r := e.run("q", func(context.Context, *core.Delivery) error {
			calls.Add(1)
			return errBad
		}, consumer.RequeuePause(time.Second, time.Second))
		e.publish("q", 1, 3)
		time.Sleep(time.Minute)
		if n := e.count(recovery.EventFailuresDropped); n != 1 || calls.Load() < 30 {
			e.Errorf("told %d times, after %d calls", n, calls.Load())
		}
		if err := r.stop(); err != nil {
			e.Error(err)
		}
	})
}

// What a quorum queue of RabbitMQ 4.3 delays is not delayed here as well: failures if the queue delays those, else what
// is given back.
func TestDelayedRetryOfTheQueueIsHeeded(t *testing.T) {
	for _, kind := range []string{"all", "failed", "returned"} {
		for how, result := range map[string]error{"failed": errBad, "returned": consumer.ErrRequeue} {
			t.Run(kind+", "+how, func(t *testing.T) {
				inBubble(t, func(e *env) {
					e.declare(topology.Topology{Queues: []topology.Queue{topology.Queue{Name: "q", Type: topology.Quorum}.With(
						topology.Argument("x-delayed-retry-type", kind), topology.Argument("x-delayed-retry-min", 2000))}})
					var calls atomic.Int64
					var first, second time.Time // read when the consumer has ended
					r := e.run("q", func(context.Context, *core.Delivery) error {
						switch calls.Add(1) {
						case 1:
							first = time.Now()
							return result
						case 2:
							second = time.Now()
						}
						return nil
					}, consumer.RequeuePause(time.Millisecond, time.Millisecond))
					e.publish("q", 1, 1)
					time.Sleep(10 * time.Second)
					if err := r.stop(); err != nil {
						e.Error(err)
					}
					after := second.Sub(first)
					if delayed := kind == "all" || kind == how; (after >= 2*time.Second) != delayed || after > 2100*time.Millisecond {
						e.Errorf("again after %s", after)
					}
				})
			})
		}
	}
}
