package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
)

// What a consumer with automatic ack has received nobody delivers again: when it is stopped that is handled first,
// and what the time does not suffice for is counted.
func TestAutoAckHandlesWhatHasArrivedBeforeItStops(t *testing.T) {
	const messages = 100
	for name, stop := range map[string]func(e *env, r *running, cancel context.CancelFunc){
		"Stop":    func(_ *env, r *running, _ context.CancelFunc) { _ = r.Stop(context.Background()) },
		"context": func(_ *env, _ *running, cancel context.CancelFunc) { cancel() },
		"Stop in an outage": func(e *env, r *running, _ context.CancelFunc) {
			e.broker.Stop()
			synctest.Wait()
			_ = r.Stop(context.Background())
		},
		"Stop, and no answer": func(e *env, r *running, _ context.CancelFunc) {
			e.broker.OnReceive(wire.MethodBasicCancel, brokertest.Always(brokertest.Swallow))
			_ = r.Stop(context.Background())
		},
		"connection closed": func(e *env, r *running, _ context.CancelFunc) {
			_ = e.conn.Close(context.Background())
			_ = r.Stop(context.Background())
		},
	} {
		for _, in := range []struct {
			timeout time.Duration
			dropped bool
		}{{time.Hour, false}, {10 * time.Second, true}} {
			t.Run(fmt.Sprint(name, " within ", in.timeout), func(t *testing.T) {
				inBubble(t, func(e *env) {
					e.queue("q", nil)
					ctx, cancel := context.WithCancel(e.ctx)
					defer cancel()
					var got seen
					r := &running{e.consumer("q", consumer.AutoAck(), consumer.Workers(2), consumer.StopTimeout(in.timeout)), e, make(chan error, 1)}
					go func() {
						r.result <- r.Run(ctx, func(_ context.Context, d *core.Delivery) error {
							time.Sleep(700 * time.Millisecond)
							got.add(d)
							return nil
						})
					}()
					synctest.Wait()
					e.publish("q", 1, messages)
					synctest.Wait()
					begun := time.Now()
					go stop(e, r, cancel)
					if err := <-r.result; err != nil && !errors.Is(err, core.ErrClosed) {
						t.Error(err)
					}
					handled, dropped, limit := len(got.all()), int(r.Stats().Dropped), in.timeout+10*time.Second
					if handled+dropped != messages || dropped > 0 != in.dropped || time.Since(begun) > limit {
						t.Errorf("%d handled, %d dropped, after %s", handled, dropped, time.Since(begun))
					}
				})
			})
		}
	}
}

// So does a loop, which also may end it at once.
func TestAutoAckLoopGetsWhatHasArrivedBeforeItStops(t *testing.T) {
	const messages = 20
	for name, last := range map[string]int{"to its end": messages, "left": 7} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				e.publish("q", 1, messages)
				ctx, cancel := context.WithCancel(e.ctx)
				defer cancel()
				c := e.consumer("q", consumer.AutoAck())
				var got []string
				for d, err := range c.All(ctx) {
					if err != nil {
						if !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
						break
					}
					synctest.Wait()
					cancel()
					if got = append(got, string(d.Body)); len(got) == last {
						break
					}
				}
				if s := c.Stats(); !slices.Equal(got, numbers(1, last)) || s.Dropped != uint64(messages-last) {
					t.Errorf("got %v, stats %+v", got, s)
				}
			})
		})
	}
}
