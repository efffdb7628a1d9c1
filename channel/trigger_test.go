package channel

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

func TestWhateverEndsAConnectionIsRecoveredFromOnce(t *testing.T) {
	closed := func(code core.Code) func(*testing.T, *bed, *atomic.Bool) {
		return func(_ *testing.T, b *bed, _ *atomic.Bool) { b.CloseConnections(uint16(code), "closed by the test") }
	}
	code := func(want core.Code) func(error) bool {
		return func(err error) bool {
			e, ok := errs.AsType[*core.Error](err)
			return ok && e.Code == want && e.Server
		}
	}
	tests := []struct {
		name string
		end  func(t *testing.T, b *bed, broken *atomic.Bool)
		is   func(error) bool
	}{
		{"the end of the stream", func(_ *testing.T, b *bed, _ *atomic.Bool) { _ = b.Links()[0].Close() }, func(err error) bool { return err != nil }},
		{"a read error", func(_ *testing.T, b *bed, _ *atomic.Bool) { b.Links()[0].Reset() }, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"a write error alone", func(t *testing.T, b *bed, broken *atomic.Bool) {
			broken.Store(true)
			_ = b.channel(t).Publish(t.Context(), &core.Publishing{RoutingKey: "q"}) // the first write finds it
		}, func(err error) bool { return errors.Is(err, syscall.EPIPE) }},
		{"a peer that takes no bytes", func(t *testing.T, b *bed, _ *atomic.Bool) {
			ch := b.channel(t)
			b.Links()[0].StallReceiving()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for b.conn.State().Epoch == 1 && ctx.Err() == nil {
				_ = ch.Publish(ctx, &core.Publishing{RoutingKey: "q", Body: make([]byte, 1<<20)})
			}
		}, func(err error) bool { return err != nil }},
		{"a silent peer", func(_ *testing.T, b *bed, _ *atomic.Bool) {
			b.Links()[0].HalfOpen()
			time.Sleep(21 * time.Second) // two heartbeats
		}, func(err error) bool { return errors.Is(err, core.ErrSilent) }},
		{"an operator", closed(core.ErrConnectionForced), code(core.ErrConnectionForced)},
		{"an internal error", closed(core.ErrInternal), code(core.ErrInternal)},
		{"an unexpected frame", closed(core.ErrUnexpectedFrame), code(core.ErrUnexpectedFrame)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var broken atomic.Bool
				b := newBedAt(t, session.Config{}, func(cfg *core.Config) {
					cfg.Heartbeat = 10 * time.Second
					cfg.WriteTimeout = 15 * time.Second
					dial := cfg.DialContext
					first := true
					cfg.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
						nc, err := dial(ctx, network, addr)
						if first && err == nil {
							first = false
							return deaf{nc, &broken}, nil
						}
						return nc, err
					}
				})
				time.Sleep(time.Minute)
				test.end(t, b, &broken)
				awaitEpoch(t, b.conn, 2)
				b.ready(t)
				time.Sleep(time.Minute)
				if lost := b.journal.Of(recovery.EventLost); len(lost) != 1 || !test.is(lost[0].Err) {
					t.Errorf("lost %+v; want once, with the cause", lost)
				}
				if n := len(b.journal.Of(recovery.EventOpened)); n != 2 || len(b.Connections()) != 1 {
					t.Errorf("%d connections opened, %d open; want 2 and 1", n, len(b.Connections()))
				}
			})
		})
	}
}

// However many notice a loss, one connection is made, and all get it.
func TestRecoveryIsSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		for range 20 {
			ch := b.channel(t)
			declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
			consume(t, ch, "q", "tag")
		}
		time.Sleep(time.Minute)
		b.Cut()
		sessions := make(chan *session.Session, 20)
		for range 20 {
			go func() { s, _ := b.conn.SessionAfter(t.Context(), 1); sessions <- s }()
		}
		b.ready(t)
		time.Sleep(time.Minute)
		first := <-sessions
		for range 19 {
			if s := <-sessions; s == nil || s != first {
				t.Errorf("sessions %v and %v", s, first)
			}
		}
		if n, open := len(b.journal.Of(recovery.EventOpened)), len(b.Connections()); n != 2 || open != 1 || len(b.Consumers()) != 20 {
			t.Errorf("%d connections opened, %d open, %d consumers; want 2, 1 and 20", n, open, len(b.Consumers()))
		}
	})
}

func TestClosingIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		b := newBed(t, session.Config{Config: recovery.Config{Recover: func(context.Context, error) bool { asked++; return true }}})
		b.channel(t)
		must(t, b.conn.Close(t.Context()))
		time.Sleep(time.Hour)
		if asked != 0 || len(b.journal.Of(recovery.EventLost)) != 0 || len(b.journal.Of(recovery.EventOpened)) != 1 {
			t.Errorf("asked %d times, lost %v, opened %d", asked, b.journal.Of(recovery.EventLost), len(b.journal.Of(recovery.EventOpened)))
		}
		if e := b.journal.Last(t, recovery.EventEnded); !errors.Is(e.Err, core.ErrClosed) {
			t.Errorf("ended with %v", e.Err)
		}
	})
}

// A loss is told before anything is done about it, each time, and the end once.
func TestEventsComeInTheOrderOfWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		q := declare(t, ch, core.QueueDeclare{Exclusive: true})
		consume(t, ch, q, "tag")
		for range 2 {
			time.Sleep(time.Minute)
			b.cut(t)
			b.ready(t)
		}
		must(t, b.conn.Close(t.Context()))
		var got []recovery.EventKind
		for _, e := range b.journal.All() {
			if e.Kind != recovery.EventStageChanged && e.Kind != recovery.EventResumed { // which is told while channels and consumers are
				got = append(got, e.Kind)
			}
		}
		once := []recovery.EventKind{recovery.EventLost, recovery.EventOpened, recovery.EventRenamed, recovery.EventRecovered, recovery.EventChannelRestored, recovery.EventConsumerRestored}
		if want := slices.Concat([]recovery.EventKind{recovery.EventOpened}, once, once, []recovery.EventKind{recovery.EventEnded}); !slices.Equal(got, want) {
			t.Errorf("events %v; want %v", got, want)
		}
		if n := len(b.journal.Of(recovery.EventResumed)); n != 2 {
			t.Errorf("resumed %d times; want once for each loss", n)
		}
	})
}

// A function of the application that does not come back delays recovery by a
// known time, and nothing else.
func TestAHookThatHangsIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		b := newBed(t, session.Config{
			Config: recovery.Config{ReplayTimeout: 10 * time.Second, Recover: func(context.Context, error) bool { <-hang; return false }, Refused: func(context.Context, recovery.Refusal) recovery.Decision { <-hang; return recovery.DecisionFail }},
		})
		ch := b.channel(t)
		for _, q := range []string{"one", "two", "three"} {
			declare(t, ch, core.QueueDeclare{Queue: q, Exclusive: true})
		}
		b.OnReceive(wire.MethodQueueDeclare, brokertest.Always(brokertest.Refuse(406, "PRECONDITION_FAILED")))
		begun := time.Now()
		b.cut(t)
		awaitEpoch(t, b.conn, 2)
		if took := time.Since(begun); took > 25*time.Second { // both, each with its grace
			t.Errorf("recovered after %s", took)
		}
		if d := b.conn.State().Degraded; len(d) != 3 {
			t.Errorf("degraded %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.conn.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// A refusal can be repaired before it is decided about: here a queue that
// somebody else declared otherwise is deleted, so that the next try succeeds.
func TestARefusalCanBeRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reasons []recovery.Reason
		b := newBed(t, session.Config{
			Config: recovery.Config{Refused: func(ctx context.Context, r recovery.Refusal) recovery.Decision {
				reasons = append(reasons, r.Reason)
				ch, err := r.Conn.Channel(ctx)
				if err != nil {
					t.Error(err)
					return recovery.DecisionRetry
				}
				if _, err := ch.QueueDelete(ctx, core.QueueDelete{Queue: "q"}); err != nil {
					t.Error(err)
				}
				_ = ch.Close(ctx)
				return recovery.DecisionRetry
			}},
		})
		ch := b.channel(t)
		declare(t, ch, core.QueueDeclare{Queue: "q", Exclusive: true})
		b.OnReceive(wire.MethodQueueDeclare, brokertest.Nth(1, brokertest.Refuse(406, "PRECONDITION_FAILED - inequivalent arg 'durable'")))
		b.cut(t)
		b.ready(t)
		if !slices.Equal(reasons, []recovery.Reason{recovery.ReasonDifferent}) {
			t.Errorf("asked about %v", reasons)
		}
	})
}

// deaf is a socket that can be read and, once broken, not written to.
type deaf struct {
	net.Conn
	broken *atomic.Bool
}

func (d deaf) Write(p []byte) (int, error) {
	if d.broken.Load() {
		return 0, syscall.EPIPE
	}
	return d.Conn.Write(p)
}
