package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/topology"
)

var errBad = errors.New("bad luck")

// What failures, returns and stops cost messages on each of WARREN_VERSIONS; without a container on the broker at WARREN_LIVE_URL.
func TestFailuresWithRabbitMQ(t *testing.T) {
	versions := strings.Fields(os.Getenv("WARREN_VERSIONS"))
	if len(versions) == 0 {
		versions = []string{docker.MainVersion}
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			url := os.Getenv("WARREN_LIVE_URL")
			if url == "" {
				url = dockertest.Run(t, version, docker.Options{}).URL()
			}
			for name, run := range map[string]func(e *env, url, version string){
				"poison is dead-lettered": testPoisonIsDeadLettered, "bad messages keep none waiting": testBadMessages,
				"deploys": testDeploys, "deploys with messages that wait": testDeploysWhileWaiting, "no dead letters": testNoDeadLetters, "delayed retry": testDelayedRetry,
			} {
				t.Run(name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
					defer cancel()
					client, err := warren.Dial(ctx, url)
					if err != nil {
						t.Fatal(err)
					}
					run(&env{T: t, client: client, ctx: ctx}, url, version)
					if err := client.Drain(ctx); err != nil {
						t.Errorf("drain: %v", err)
					}
				})
			}
		})
	}
}

// fresh declares a queue that nobody else has.
func (e *env) fresh(q warren.Queue) string {
	e.Helper()
	q.Name = fmt.Sprintf("live.%d", time.Now().UnixNano())
	e.declare(q)
	return q.Name
}

func (e *env) fill(queue string, bodies ...string) {
	e.Helper()
	p := e.publisher()
	for _, body := range bodies {
		if err := p.Publish(e.ctx, warren.Message{RoutingKey: queue, Body: []byte(body)}); err != nil {
			e.Fatal(err)
		}
	}
}

func testPoisonIsDeadLettered(e *env, _, _ string) {
	dead := e.fresh(warren.Queue{})
	q := e.fresh(warren.Queue{Type: topology.Quorum}.With(topology.DeliveryLimit(5), topology.DeadLetterRoutingKey("", dead)))
	e.fill(q, "poison")
	var calls atomic.Int64
	end := make(chan struct{})
	e.consume(dead, func(context.Context, *warren.Delivery) error { close(end); return nil })
	e.consume(q, func(context.Context, *warren.Delivery) error { calls.Add(1); return errBad },
		consumer.RequeuePause(10*time.Millisecond, 100*time.Millisecond))
	select {
	case <-end:
	case <-time.After(20 * time.Second):
		e.Error("not dead-lettered")
	}
	if n := calls.Load(); n != 6 {
		e.Errorf("%d calls, want 6", n)
	}
}

func testBadMessages(e *env, _, _ string) {
	for _, kind := range []string{topology.Quorum, topology.Classic} {
		q := e.fresh(warren.Queue{Type: kind})
		var bodies []string
		for range 120 {
			bodies = append(bodies, "bad")
		}
		for range 100 {
			bodies = append(bodies, "good")
		}
		e.fill(q, bodies...)
		var good atomic.Int64
		done := make(chan struct{})
		e.consume(q, func(_ context.Context, d *warren.Delivery) error {
			if string(d.Body) == "bad" {
				return errBad
			}
			if good.Add(1) == 100 {
				close(done)
			}
			return nil
		}, consumer.Workers(8))
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			e.Errorf("%s: %d of 100 good ones in 10 s", kind, good.Load())
		}
	}
}

// Twelve deploys, each of which handles two messages of a hundred that it has prefetched, at a limit of five.
func testDeploys(e *env, url, _ string) {
	q := e.fresh(warren.Queue{Type: topology.Quorum}.With(topology.DeliveryLimit(5)))
	var bodies []string
	for i := range 60 {
		bodies = append(bodies, fmt.Sprint(i))
	}
	e.fill(q, bodies...)
	var mu sync.Mutex
	handled := map[string]bool{}
	got := make(chan struct{}, 1000)
	handle := func(_ context.Context, d *warren.Delivery) error {
		time.Sleep(10 * time.Millisecond) // the handler's work
		mu.Lock()
		defer mu.Unlock()
		handled[string(d.Body)] = true
		got <- struct{}{}
		return nil
	}
	all := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(handled) == len(bodies)
	}
	for range 12 {
		client, err := warren.Dial(e.ctx, url)
		if err != nil {
			e.Fatal(err)
		}
		co, err := client.Consumer(q)
		if err != nil {
			e.Fatal(err)
		}
		go func() { _ = co.Run(e.ctx, handle) }()
		for range 2 {
			if !all() {
				<-got
			}
		}
		if err := client.Drain(e.ctx); err != nil {
			e.Error(err)
		}
	}
	e.consume(q, handle)
	e.await("every message", all)
}

// A quorum queue without a dead-letter exchange, whose handler fails for far longer than its limit lasts.
// testDeploysWhileWaiting: RabbitMQ keeps some of what many frames settle until the queue has taken the rest, and the
// end of the channel forgets it.
func testDeploysWhileWaiting(e *env, url, version string) {
	if version != docker.MainVersion {
		return // each return counts
	}
	const n = 90
	q := e.fresh(warren.Queue{Type: topology.Quorum}.With(topology.DeliveryLimit(3)))
	for range n {
		e.fill(q, "x")
	}
	for range 6 {
		client, err := warren.Dial(e.ctx, url)
		if err != nil {
			e.Fatal(err)
		}
		co, err := client.Consumer(q, consumer.Prefetch(n), consumer.Workers(4), consumer.RequeuePause(time.Minute, time.Minute))
		if err != nil {
			e.Fatal(err)
		}
		var seen atomic.Int64
		go func() {
			_ = co.Run(e.ctx, func(_ context.Context, d *warren.Delivery) error {
				if d.Redelivered { // else it goes back at once
					seen.Add(1)
				}
				return consumer.ErrRequeue
			})
		}()
		e.await("each message waits", func() bool { return seen.Load() == n })
		if err := client.Drain(e.ctx); err != nil {
			e.Error(err)
		}
	}
	var handled atomic.Int64
	e.consume(q, func(context.Context, *warren.Delivery) error { handled.Add(1); return nil })
	e.await("each message", func() bool { return handled.Load() == n })
}

func testNoDeadLetters(e *env, _, _ string) {
	q := e.fresh(warren.Queue{Type: topology.Quorum}.With(topology.DeliveryLimit(6)))
	var down atomic.Bool
	down.Store(true)
	var calls, ok atomic.Int64
	e.consume(q, func(context.Context, *warren.Delivery) error {
		if calls.Add(1); down.Load() {
			return errBad
		}
		ok.Add(1)
		return nil
	}, consumer.Workers(8), consumer.RequeuePause(10*time.Millisecond, 50*time.Millisecond))
	e.fill(q, "1", "2", "3", "4", "5", "6", "7", "8")
	e.await("twenty calls for each", func() bool { return calls.Load() >= 160 })
	down.Store(false)
	e.await("all of them", func() bool { return ok.Load() == 8 })
}

func testDelayedRetry(e *env, _, _ string) { // before 4.3 the consumer makes the delays
	for how, result := range map[string]error{"failed": errBad, "returned": consumer.ErrRequeue} {
		for _, kind := range []string{"failed", "returned"} {
			q := e.fresh(warren.Queue{Type: topology.Quorum}.With(topology.Argument("x-delayed-retry-type", kind),
				topology.Argument("x-delayed-retry-min", 1000), topology.Argument("x-delayed-retry-max", 5000)))
			e.fill(q, "1")
			var first time.Time
			again := make(chan time.Duration, 1)
			e.consume(q, func(context.Context, *warren.Delivery) error {
				if first.IsZero() {
					first = time.Now()
					return result
				}
				again <- time.Since(first)
				return nil
			}, consumer.RequeuePause(time.Millisecond, time.Millisecond))
			select {
			case after := <-again:
				if (after > 900*time.Millisecond) != (how == kind) {
					e.Errorf("%s, type %s: again after %s", how, kind, after)
				}
			case <-time.After(20 * time.Second):
				e.Errorf("%s, type %s: never again", how, kind)
			}
		}
	}
}
