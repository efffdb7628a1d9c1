package channel

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/session"
)

// A channel ends by its own Close or with the connection, its physical channel may end
// just then for a reason of its own, and any of these may be noticed first. Whatever
// waits ends.
func TestNothingWaitsBehindAnEnd(t *testing.T) {
	type fixture struct {
		*bed
		ch, tx *Channel
		c      *Consumer
	}
	// Close says whether the server has confirmed it, which is not what is asked here.
	closed := func(t *testing.T, f fixture) { _ = f.conn.Close(t.Context()) }
	bothClosed := func(t *testing.T, f fixture) { _, _ = f.ch.Close(t.Context()), f.tx.Close(t.Context()) }
	ends := map[string]func(t *testing.T, f fixture){
		"of the channel":    bothClosed,
		"of the connection": closed,
		"of the connection, noticed by its context": func(t *testing.T, f fixture) {
			f.conn.GiveUp(core.ErrClosed)
			synctest.Wait()
			closed(t, f)
		},
		"of the connection, noticed by the physical channel": func(t *testing.T, f fixture) {
			s, err := f.conn.Session(t.Context())
			must(t, err)
			_ = s.Conn.Close(t.Context())
			closed(t, f)
		},
		"of the connection while it is cut": func(t *testing.T, f fixture) {
			f.Cut()
			closed(t, f)
		},
		"of the connection while it is closed by the broker": func(t *testing.T, f fixture) {
			f.CloseConnections(320, "CONNECTION_FORCED")
			closed(t, f)
		},
		"of the connection while its channels are closed by the broker": func(t *testing.T, f fixture) {
			f.CloseChannels(406, "PRECONDITION_FAILED")
			closed(t, f)
		},
		"of the channel while the broker closes it": func(t *testing.T, f fixture) {
			f.CloseChannels(406, "PRECONDITION_FAILED")
			bothClosed(t, f)
		},
		"of the channel and the connection": func(t *testing.T, f fixture) {
			go bothClosed(t, f)
			closed(t, f)
		},
		"of the connection while the broker is away": func(t *testing.T, f fixture) {
			f.Stop()
			synctest.Wait()
			closed(t, f)
		},
		"of the channel while the broker is away": func(t *testing.T, f fixture) {
			f.Stop()
			synctest.Wait()
			bothClosed(t, f)
		},
		"of the connection, given up": func(t *testing.T, f fixture) {
			f.conn.GiveUp(core.ErrAuth)
		},
	}
	silence := func(id wire.MethodID) func(f fixture) {
		return func(f fixture) { f.OnReceive(id, brokertest.Always(brokertest.Swallow)) }
	}
	publishing := &core.Publishing{RoutingKey: "q"}
	waiters := map[string]struct {
		before func(f fixture)
		wait   func(ctx context.Context, f fixture) error
	}{
		"Receive": {nil, func(ctx context.Context, f fixture) error { return second(f.c.Receive(ctx)) }},
		"All": {nil, func(ctx context.Context, f fixture) error {
			for _, err := range f.c.All(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		"Consumer.Done": {nil, func(ctx context.Context, f fixture) error { <-f.c.Done(); return f.c.Err() }},
		"Done":          {nil, func(ctx context.Context, f fixture) error { <-f.ch.Done(); return f.ch.Err() }},
		"QueueDeclare": {silence(wire.MethodQueueDeclare), func(ctx context.Context, f fixture) error {
			return second(f.ch.QueueDeclare(ctx, core.QueueDeclare{Queue: "other"}))
		}},
		"Get": {silence(wire.MethodBasicGet), func(ctx context.Context, f fixture) error {
			return second(f.ch.Get(ctx, core.BasicGet{Queue: "q"}))
		}},
		"Qos": {silence(wire.MethodBasicQos), func(ctx context.Context, f fixture) error {
			return f.ch.Qos(ctx, core.BasicQos{PrefetchCount: 1})
		}},
		"Consume": {silence(wire.MethodBasicConsume), func(ctx context.Context, f fixture) error {
			return second(f.ch.Consume(ctx, core.BasicConsume{Queue: "q"}))
		}},
		"Consume behind another": {func(f fixture) {
			silence(wire.MethodBasicConsume)(f)
			go func() { _, _ = f.ch.Consume(context.Background(), core.BasicConsume{Queue: "q"}) }()
			synctest.Wait()
		}, func(ctx context.Context, f fixture) error {
			return second(f.ch.Consume(ctx, core.BasicConsume{Queue: "q"}))
		}},
		"Cancel": {silence(wire.MethodBasicCancel), func(ctx context.Context, f fixture) error {
			if err := f.c.Cancel(ctx); err != nil {
				return err
			}
			return core.ErrClosed // it is over, whatever the broker would have said
		}},
		"Recover": {silence(wire.MethodBasicRecover), func(ctx context.Context, f fixture) error {
			return f.ch.Recover(ctx, core.BasicRecover{Requeue: true})
		}},
		"TxCommit": {silence(wire.MethodTxCommit), func(ctx context.Context, f fixture) error { return f.tx.TxCommit(ctx) }},
		"Publish": {func(f fixture) {
			f.Block("low on memory")
			_ = f.ch.Publish(context.Background(), publishing) // which tells
			synctest.Wait()
		}, func(ctx context.Context, f fixture) error { return f.ch.Publish(ctx, publishing) }},
		"PublishConfirm": {func(f fixture) { f.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Unconfirmed)) },
			func(ctx context.Context, f fixture) error {
				c, err := f.ch.PublishConfirm(ctx, publishing)
				if err != nil {
					return err
				}
				v, err := c.Wait(ctx)
				if err != nil {
					return err
				}
				return v.Cause
			}},
	}
	for how, end := range ends {
		for what, waiter := range waiters {
			t.Run(what+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBed(t, session.Config{})
					f := fixture{bed: b, ch: b.channel(t), tx: b.channel(t)}
					must(t, f.ch.Confirm(t.Context(), core.ConfirmSelect{}))
					must(t, f.tx.TxSelect(t.Context()))
					f.c = consume(t, f.ch, declare(t, f.ch, core.QueueDeclare{Queue: "q", Durable: true}), "tag")
					if waiter.before != nil {
						waiter.before(f)
					}
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					ended := make(chan error, 1)
					go func() { ended <- waiter.wait(ctx, f) }()
					synctest.Wait()
					end(t, f)
					hangs := time.NewTimer(time.Minute)
					defer hangs.Stop()
					select {
					case err := <-ended:
						if err == nil {
							t.Error("it ended well")
						}
					case <-hangs.C:
						t.Errorf("it waits; the channel's error is %v", f.ch.Err())
					}
					for _, ch := range []*Channel{f.ch, f.tx} {
						select {
						case <-ch.Done():
						default:
							t.Error("the channel is not done")
						}
						if ch.Err() == nil {
							t.Error("the channel is done without an error")
						}
						if _, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "q"}); err == nil {
							t.Error("a call on it does not fail")
						}
					}
					if _, err := f.c.Receive(t.Context()); err == nil || errors.Is(err, context.Canceled) {
						t.Errorf("received: %v", err)
					}
					b.Unblock()
				})
			})
		}
	}
}
