package core

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// The end of a context comes with what was waited for.
func TestTheErrorOfAWaitSaysWhatForInCore(t *testing.T) {
	for _, tt := range []struct {
		name string
		wait func(t *testing.T, ctx context.Context, ch *Channel, p *peer) error
		say  string
	}{
		{"an answer", func(_ *testing.T, ctx context.Context, ch *Channel, p *peer) error {
			return ch.QueueBind(ctx, QueueBind{})
		}, "waiting for the answer to queue.bind"},
		{"a full window", func(t *testing.T, ctx context.Context, ch *Channel, p *peer) error {
			p.confirm(ch)
			publishes(t, p, ch, 2)
			return ch.Publish(ctx, &Publishing{})
		}, "waiting for confirms: 2 publishes have none, the connection's ConfirmWindow is 2"},
		{"a full window of a broker that blocks", func(t *testing.T, ctx context.Context, ch *Channel, p *peer) error {
			p.confirm(ch)
			publishes(t, p, ch, 2)
			next := async0(func() error { return ch.Publish(ctx, &Publishing{}) })
			next.waits(t)
			p.send(0, &wire.ConnectionBlocked{Reason: "low on memory"})
			return next.fail(t)
		}, "ConfirmWindow is 2: amqp: the broker blocks publishers: \"low on memory\""},
		{"flow", func(_ *testing.T, ctx context.Context, ch *Channel, p *peer) error {
			p.send(1, &wire.ChannelFlow{})
			want[*wire.ChannelFlowOk](p, 1)
			return ch.Publish(ctx, &Publishing{})
		}, "waiting for the server to resume the channel"},
		{"a confirm", func(t *testing.T, ctx context.Context, ch *Channel, p *peer) error {
			p.confirm(ch)
			_, err := publishes(t, p, ch, 1)[0].Wait(ctx)
			return err
		}, "waiting for the broker's confirm"},
		{"a full buffer", func(t *testing.T, ctx context.Context, ch *Channel, p *peer) error {
			p.nc.In().SetBuffer(100)
			for range 5 {
				if err := ch.Publish(ctx, &Publishing{Body: make([]byte, 30_000)}); err != nil {
					return err
				}
				synctest.Wait()
			}
			return nil
		}, "waiting for room in the write buffer: the peer is behind by the 30000 bytes that it holds"},
		{"a large message", func(t *testing.T, ctx context.Context, ch *Channel, p *peer) error {
			p.nc.In().SetBuffer(100)
			large := async0(func() error { return ch.Publish(bg, &Publishing{Body: make([]byte, 1<<20)}) })
			large.waits(t)
			defer func() { p.nc.Reset(); large.fail(t) }()
			return ch.QueueBind(ctx, QueueBind{})
		}, "waiting for the end of a large message on this channel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{ConfirmWindow: 2, WriteBuffer: 30_000, Heartbeat: -1})
				ctx, cancel := context.WithTimeout(bg, time.Second)
				defer cancel()
				err := tt.wait(t, ctx, ch, p)
				mustIs(t, err, context.DeadlineExceeded)
				if !strings.Contains(err.Error(), tt.say) {
					t.Errorf("%v; want it to say %s", err, tt.say)
				}
			})
		})
	}
}
