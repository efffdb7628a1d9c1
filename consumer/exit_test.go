package consumer_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/recovery"
)

// A handler that ends its goroutine, as FailNow does, has failed like any other: it is reported, its message is handled
// again, and its worker is replaced.
func TestAHandlerThatExitsHasFailed(t *testing.T) {
	for _, tc := range []struct {
		name    string
		args    wire.Table
		opts    []consumer.Option
		handled []string
	}{
		{"of a queue", nil, nil, numbers(1, 20)},
		{"with several workers", nil, []consumer.Option{consumer.Workers(3)}, numbers(1, 20)},
		{"of a stream", wire.Table{"x-queue-type": "stream"}, []consumer.Option{consumer.FromOffset("first")}, numbers(1, 20)},
		{"with automatic ack", nil, []consumer.Option{consumer.AutoAck()}, nil}, // at most once
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", tc.args)
				var calls, handled seen
				r := e.run("q", func(_ context.Context, d *core.Delivery) error {
					again := calls.has(string(d.Body))
					if calls.add(d); !again {
						runtime.Goexit()
					}
					handled.add(d)
					return nil
				}, append(tc.opts, consumer.RequeuePause(time.Millisecond, time.Millisecond))...)
				e.publish("q", 1, 20)
				time.Sleep(time.Minute)
				e.wantSorted(&handled, tc.handled)
				if n := e.count(recovery.EventHandlerFailed); n != 20 {
					t.Errorf("%d failures reported; want 20", n)
				}
				for _, event := range e.of(recovery.EventHandlerFailed) {
					if !errors.Is(event.Err, consumer.ErrExited) {
						t.Fatalf("event %v", event.Err)
					}
				}
				if tc.args == nil {
					e.wantQueue("q", 0, 0, 1)
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A message whose handler exits while the consumer stops goes back to its queue.
func TestAHandlerThatExitsWhileStopping(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		e.publish("q", 1, 1)
		exit := make(chan struct{})
		r := e.run("q", func(context.Context, *core.Delivery) error {
			<-exit
			runtime.Goexit()
			return nil
		})
		go func() {
			synctest.Wait()
			close(exit)
		}()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		e.wantQueue("q", 1, 0, 0)
	})
}
