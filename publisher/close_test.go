package publisher_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// states brings a publisher into each state in which it can be closed.
var states = []struct {
	name  string
	enter func(e *env, p *publisher.Publisher) // leaves messages without an outcome, except in the first two
	open  int
}{
	{"never used", func(*env, *publisher.Publisher) {}, 0},
	{"idle", func(e *env, p *publisher.Publisher) { e.wantConfirmed(e.sendTo(p, "q")) }, 0},
	{"no connection", func(e *env, p *publisher.Publisher) {
		e.broker.Stop()
		e.send(p, 1, 3)
		time.Sleep(time.Minute)
	}, 3},
	{"dialling", func(e *env, p *publisher.Publisher) {
		e.broker.OnConnect(func(l *brokertest.Link) { l.StallSending() })
		e.send(p, 1, 3)
		synctest.Wait()
	}, 3},
	{"opening a channel", func(e *env, p *publisher.Publisher) {
		e.broker.OnReceive(wire.MethodChannelOpen, brokertest.Always(brokertest.Swallow))
		e.send(p, 1, 3)
		synctest.Wait()
	}, 3},
	{"selecting confirm mode", func(e *env, p *publisher.Publisher) {
		e.broker.OnReceive(wire.MethodConfirmSelect, brokertest.Always(brokertest.Swallow))
		e.send(p, 1, 3)
		synctest.Wait()
	}, 3},
	{"waiting for verdicts", func(e *env, p *publisher.Publisher) {
		e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Unconfirmed))
		e.send(p, 1, 3)
		synctest.Wait()
	}, 3},
	{"nacked, waiting to try again", func(e *env, p *publisher.Publisher) {
		e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Nack))
		e.send(p, 1, 3)
		time.Sleep(time.Minute)
	}, 3},
	{"pausing after many channels died", func(e *env, p *publisher.Publisher) {
		e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Refuse(406, "PRECONDITION_FAILED - no")))
		for range 20 {
			_ = p.Publish(e.ctx, to("q", "bad"))
		}
		e.send(p, 1, 1)
		synctest.Wait()
	}, 1},
	{"blocked", func(e *env, p *publisher.Publisher) {
		e.wantConfirmed(e.sendTo(p, "q"))
		e.broker.Block("low on memory")
		e.send(p, 1, 1)
		synctest.Wait()
		go func() { _ = p.Publish(e.ctx, to("q", "2")) }()
		go func() { _ = p.Publish(e.ctx, publisher.Message{RoutingKey: "q", Body: make([]byte, 1<<20)}) }()
		synctest.Wait()
	}, 3},
	{"the broker does not read", func(e *env, p *publisher.Publisher) {
		e.wantConfirmed(e.sendTo(p, "q"))
		e.socket().Out().Stall()
		go func() { _ = p.Publish(e.ctx, publisher.Message{RoutingKey: "q", Body: make([]byte, 8<<20)}) }()
		synctest.Wait()
	}, 1},
}

// TestCloseEndsInEveryState: within a bound, with an outcome for every message.
func TestCloseEndsInEveryState(t *testing.T) {
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				p := e.publisher()
				state.enter(e, p)
				if open := p.Stats().Open; open != state.open {
					t.Fatalf("%d messages open; want %d", open, state.open)
				}
				begun := time.Now()
				e.closeOf(p)
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("took %s", took)
				}
				synctest.Wait()
				if open := p.Stats().Open; open != 0 {
					t.Errorf("%d messages have no outcome", open)
				}
				if err := p.Publish(e.ctx, to("q", "late")); !errors.Is(err, core.ErrClosed) || !errors.Is(err, core.ErrNotSent) {
					t.Errorf("publish after close: %v", err)
				}
				e.closeOf(p) // again
				<-p.Done()
			})
		})
	}
}

// TestDrainEndsInEveryState: what can still be confirmed is, else Drain ends
// with its context.
func TestDrainEndsInEveryState(t *testing.T) {
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				p := e.publisher()
				state.enter(e, p)
				ctx, cancel := timeout(e.ctx, 10*time.Second)
				defer cancel()
				begun := time.Now()
				err := p.Drain(ctx)
				if (err == nil) != (state.open == 0) && state.name != "pausing after many channels died" {
					t.Errorf("%v", err)
				}
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("took %s", took)
				}
				<-p.Done()
				if took := time.Since(begun); took > 12*time.Second {
					t.Errorf("the rest ended after %s", took)
				}
				synctest.Wait()
				if open := p.Stats().Open; open != 0 {
					t.Errorf("%d messages have no outcome", open)
				}
			})
		})
	}
}

func TestDrainDuringAnOutage(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher(publisher.Window(2, 1<<20))
		e.broker.Stop()
		receipts := e.send(p, 1, 2)
		waiting := make(chan error, 1)
		go func() { waiting <- p.Publish(e.ctx, to("q", "3")) }() // for the window
		synctest.Wait()
		drained := make(chan error, 1)
		go func() { drained <- p.Drain(e.ctx) }()
		synctest.Wait()
		if err := <-waiting; !errors.Is(err, core.ErrClosed) {
			t.Errorf("who waits for the window while draining gets %v", err)
		}
		if err := p.Publish(e.ctx, to("q", "4")); !errors.Is(err, core.ErrClosed) {
			t.Errorf("publish while draining: %v", err)
		}
		time.Sleep(time.Minute)
		e.broker.Start()
		if err := <-drained; err != nil {
			t.Error(err)
		}
		e.wantConfirmed(receipts...)
		e.wantBodies("q", numbers(1, 2))
	})
}

// TestGivenUpConnectionEndsEveryMessage: with a retry policy that stops.
func TestGivenUpConnectionEndsEveryMessage(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		conn := session.New(session.Config{
			Config:   recovery.Config{Retry: func() backoff.BackOff { return &backoff.StopBackOff{} }},
			Resolver: recovery.Endpoints(core.Config{Addr: "broker:5672", DialContext: e.dial}),
		})
		defer func() { _ = conn.Close(context.Background()) }()
		p, err := publisher.New(conn)
		if err != nil {
			t.Fatal(err)
		}
		e.wantConfirmed(e.sendTo(p, "q"))
		time.Sleep(time.Minute)
		e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Unconfirmed))
		receipts := e.send(p, 1, 3)
		synctest.Wait()
		e.broker.Stop()
		for _, r := range receipts {
			if out, err := r.Wait(e.ctx); out != core.OutcomeUnknown {
				t.Errorf("%v, %v", out, err)
			}
		}
		if err := p.Publish(e.ctx, to("q", "late")); !errors.Is(err, core.ErrNotSent) {
			t.Errorf("later: %v", err)
		}
		<-p.Done()
	})
}

// An outage in which senders lose patience must not fill the memory.
func TestImpatientSendersInAnOutageLeaveNothingBehind(t *testing.T) {
	inBubble(t, func(e *env) {
		e.broker.Stop()
		p := e.publisher()
		defer e.closeOf(p)
		ctx, cancel := context.WithCancel(e.ctx)
		cancel()
		for range 100_000 {
			if err := p.Publish(ctx, to("q", "x")); !errors.Is(err, core.ErrNotSent) {
				t.Fatal(err)
			}
		}
		if n := publisher.Held(p); n > 1000 {
			t.Errorf("%d messages are held that have their outcome", n)
		}
	})
}
