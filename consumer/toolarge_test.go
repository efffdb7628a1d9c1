package consumer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/warren-mq/warren/channel"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// withMaxBody has the connection read bodies up to limit only.
func (e *env) withMaxBody(limit uint64) {
	e.Helper()
	if err := e.conn.Close(e.ctx); err != nil {
		e.Fatal(err)
	}
	e.conn = session.New(session.Config{
		Config:   recovery.Config{InitialPasses: -1},
		Name:     "main",
		Recorder: e.recorder,
		Emit:     e.emit,
		Resolver: recovery.Endpoints(core.Config{Addr: "broker:5672", DialContext: e.dial, MaxBody: limit}),
	})
}

// publishLarge puts a message of a thousand octets into a queue, in front of messages 1 to 10.
func (e *env) publishLarge(queue string) {
	e.Helper()
	ch := e.channel()
	if err := ch.Publish(e.ctx, &core.Publishing{RoutingKey: queue, Body: make([]byte, 1000)}); err != nil {
		e.Fatal(err)
	}
	if err := ch.Conn().Close(e.ctx); err != nil {
		e.Fatal(err)
	}
	e.publish(queue, 1, 10)
}

// wantTooLarge wants so many events, each of a message with this fate.
func (e *env) wantTooLarge(n int, fate recovery.Fate) {
	e.Helper()
	events := e.of(recovery.EventTooLarge)
	if len(events) != n {
		e.Errorf("%d events, want %d", len(events), n)
	}
	for _, event := range events {
		large, ok := errs.AsType[*recovery.TooLargeError](event.Err)
		if !ok || large.Fate != fate || large.Size != 1000 || large.RoutingKey == "" || !errors.Is(large, core.ErrContentTooLarge) {
			e.Errorf("%s: %v", event.Entity, event.Err)
		}
	}
}

// By default a message that is too large is held: nothing is lost, those behind it are handled, nothing goes
// round and round, and the state says so until somebody else has it.
func TestTooLargeIsHeld(t *testing.T) {
	inBubble(t, func(e *env) {
		e.withMaxBody(999)
		e.queue("q", wire.Table{"x-queue-type": "quorum"})
		var got seen
		r := e.run("q", got.handler, consumer.Prefetch(5))
		e.publishLarge("q")
		time.Sleep(time.Minute)
		e.wantSeen(&got, numbers(1, 10))
		e.wantTooLarge(1, recovery.FateHeld)
		e.wantQueue("q", 0, 1, 1)
		s := e.conn.State()
		if s.Stage != recovery.StageConsumeReady || len(s.Degraded) != 1 || !errors.Is(s.Degraded[0], core.ErrContentTooLarge) || e.conn.Health().Err() == nil {
			t.Errorf("%v, degraded %v", s.Stage, s.Degraded)
		}
		// A new connection has it again, and says so again: now in front of the announcement that the consumer is back.
		e.sockets[len(e.sockets)-1].Reset()
		time.Sleep(time.Minute)
		e.wantTooLarge(2, recovery.FateHeld)
		if s := e.conn.State(); s.Stage != recovery.StageConsumeReady || len(s.Degraded) != 1 {
			t.Errorf("%v, degraded %v", s.Stage, s.Degraded)
		}
		// Once it is gone all is well.
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		e.wantQueue("q", 1, 0, 0)
		if s := e.conn.State(); !s.Ready() {
			t.Errorf("%v, degraded %v", s.Stage, s.Degraded)
		}
	})
}

func TestTooLargeIsRejectedIfAskedFor(t *testing.T) {
	inBubble(t, func(e *env) {
		e.withMaxBody(999)
		e.queue("dead", nil)
		e.queue("q", wire.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
		var got seen
		r := e.run("q", got.handler, consumer.Prefetch(1), consumer.RejectTooLarge())
		e.publishLarge("q")
		time.Sleep(time.Minute)
		e.wantSeen(&got, numbers(1, 10))
		e.wantTooLarge(1, recovery.FateRejected)
		e.wantQueue("q", 0, 0, 1)
		e.wantQueue("dead", 1, 0, 0)
		if s := r.Stats(); s.Rejected != 1 || s.Acked != 10 || !e.conn.State().Ready() {
			t.Errorf("%+v, %+v", s, e.conn.State())
		}
		_ = r.stop()
	})
}

// A stream keeps what its consumer skips.
func TestTooLargeIsSkippedInAStream(t *testing.T) {
	for _, opts := range [][]consumer.Option{nil, {consumer.RejectTooLarge()}} {
		inBubble(t, func(e *env) {
			e.withMaxBody(999)
			e.queue("s", wire.Table{"x-queue-type": "stream"})
			e.publishLarge("s")
			var got seen
			r := e.run("s", got.handler, append(opts, consumer.FromOffset("first"), consumer.Prefetch(1))...)
			time.Sleep(time.Minute)
			e.wantSeen(&got, numbers(1, 10))
			e.wantTooLarge(1, recovery.FateSkipped)
			if next, _ := r.Offset(); next != 11 {
				t.Errorf("goes on at %d", next)
			}
			_ = r.stop()
		})
	}
}

func TestTooLargeWithAutoAckIsCounted(t *testing.T) {
	inBubble(t, func(e *env) {
		e.withMaxBody(999)
		e.queue("q", nil)
		var got seen
		r := e.run("q", got.handler, consumer.AutoAck())
		e.publishLarge("q")
		time.Sleep(time.Minute)
		e.wantSeen(&got, numbers(1, 10))
		e.wantTooLarge(1, recovery.FateGone)
		if s := r.Stats(); s.Dropped != 1 {
			t.Errorf("%+v", s)
		}
		_ = r.stop()
	})
}

// The same on a channel of the protocol: held by default, or what its own option does.
func TestTooLargeOnAChannel(t *testing.T) {
	inBubble(t, func(e *env) {
		e.withMaxBody(999)
		e.queue("held", nil)
		e.queue("rejected", nil)
		ch, err := channel.Open(e.ctx, e.conn)
		if err != nil {
			t.Fatal(err)
		}
		rejected := 0
		reject := core.OnTooLarge(func(d *core.Delivery, _ uint64) { rejected++; _ = d.Reject(false) })
		for queue, opts := range map[string][]core.ConsumeOption{"held": nil, "rejected": {reject}} {
			e.publishLarge(queue)
			c, err := ch.Consume(e.ctx, core.BasicConsume{Queue: queue}, opts...)
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				ctx, cancel := context.WithTimeout(e.ctx, time.Minute)
				d, err := c.Receive(ctx)
				cancel()
				if err != nil {
					t.Fatal(queue, err)
				}
				_ = d.Ack()
			}
		}
		time.Sleep(time.Minute)
		e.wantTooLarge(1, recovery.FateHeld)
		e.wantQueue("held", 0, 1, 1)
		e.wantQueue("rejected", 0, 0, 1)
		if s := e.conn.State(); rejected != 1 || s.Stage != recovery.StageConsumeReady || len(s.Degraded) != 1 {
			t.Errorf("%d rejected, %v, degraded %v", rejected, s.Stage, s.Degraded)
		}
		if err := ch.Close(e.ctx); err != nil {
			t.Error(err)
		}
		if s := e.conn.State(); !s.Ready() {
			t.Errorf("%v, degraded %v", s.Stage, s.Degraded)
		}
	})
}
