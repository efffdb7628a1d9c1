package publisher_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/publisher"
)

var errEnough = errors.New("the sender has waited long enough")

// TestEveryPublishEndsInOneOutcome is promise P1, outcome by outcome.
func TestEveryPublishEndsInOneOutcome(t *testing.T) {
	full := wire.Table{"x-max-length": 1, "x-overflow": "reject-publish"}
	for _, test := range []struct {
		name    string
		opts    []publisher.Option
		prepare func(e *env, p *publisher.Publisher)
		message publisher.Message
		want    core.Outcome
		is      []error
	}{
		{"confirmed", nil, nil, to("q", "1"), core.OutcomeConfirmed, nil},
		{"no queue", nil, nil, to("nowhere", "1"), core.OutcomeReturned, []error{core.ErrReturned, core.ErrNoRoute}},
		{"no queue, and that is fine", []publisher.Option{publisher.AllowUnroutable()}, nil, to("nowhere", "1"), core.OutcomeConfirmed, nil},
		{"full queue, tried once", []publisher.Option{publisher.MaxAttempts(1)}, func(e *env, p *publisher.Publisher) {
			e.wantConfirmed(e.sendTo(p, "full"))
		}, to("full", "1"), core.OutcomeNacked, []error{core.ErrNacked}},
		{"no exchange", nil, nil, publisher.Message{Exchange: "none", RoutingKey: "q"}, core.OutcomeNacked, []error{core.ErrNacked, core.ErrNotFound}},
		{"no broker", nil, func(e *env, p *publisher.Publisher) { e.broker.Stop() }, to("q", "1"), core.OutcomeNotSent, []error{core.ErrNotSent, errEnough}},
		{"no verdict", nil, func(e *env, p *publisher.Publisher) {
			e.wantConfirmed(e.sendTo(p, "q"))
			e.socket().In().Stall()
		}, to("q", "1"), core.OutcomeUnknown, []error{core.ErrUnknown, errEnough}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				e.queue("full", full)
				p := e.publisher(test.opts...)
				defer e.closeOf(p)
				if test.prepare != nil {
					test.prepare(e, p)
				}
				ctx, cancel := context.WithTimeoutCause(e.ctx, 3*time.Second, errEnough)
				defer cancel()
				err := p.Publish(ctx, test.message)
				if got := outcomeOf(err); got != test.want {
					t.Errorf("outcome %v (%v); want %v", got, err, test.want)
				}
				for _, target := range test.is {
					if !errors.Is(err, target) {
						t.Errorf("error %v; want one that is %v", err, target)
					}
				}
			})
		})
	}
}

// TestAnErrorNamesWhereTheMessageWasToGo: of a thousand publishes in a log, which
// one it was.
func TestAnErrorNamesWhereTheMessageWasToGo(t *testing.T) {
	for _, test := range []struct {
		name string
		m    publisher.Message
		want string // after the outcome
	}{
		{"returned", publisher.Message{Exchange: "amq.topic", RoutingKey: "eu.x"}, `(exchange "amq.topic", key "eu.x"): `},
		{"returned by the default exchange", to("nowhere", ""), `(exchange "", key "nowhere"): `},
		{"no exchange", publisher.Message{Exchange: "none", RoutingKey: "eu.x"}, `(exchange "none", key "eu.x"): `},
		{"the publisher's exchange", publisher.Message{RoutingKey: "eu\n"}, `(exchange "amq.fanout", key "eu\n"): `},
		{"nacked", to("full", "2"), `(exchange "", key "full")`},
		{"not sent", to("q", "1"), `(exchange "", key "q"): ` + errEnough.Error()},
	} {
		for _, sent := range []bool{false, true} {
			inBubble(t, func(e *env) {
				e.queue("full", wire.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
				opts := []publisher.Option{publisher.MaxAttempts(1)}
				if test.m.Exchange == "" && test.m.RoutingKey == "eu\n" {
					opts = append(opts, publisher.Exchange("amq.fanout"))
				}
				p := e.publisher(opts...)
				defer e.closeOf(p)
				ctx, cancel := context.WithCancelCause(e.ctx)
				defer cancel(nil)
				switch test.name {
				case "nacked":
					e.wantConfirmed(e.sendTo(p, "full"))
				case "not sent":
					cancel(errEnough)
				}
				err := publishOrSend(ctx, p, test.m, sent)
				o, ok := errs.AsType[*core.OutcomeError](err)
				if !ok || !strings.Contains(err.Error(), test.want) || o.RoutingKey != test.m.RoutingKey {
					t.Errorf("%s, sent %t: %v; want it to say %s", test.name, sent, err, test.want)
				}
			})
		}
	}
}

func TestNonsensicalOptionsAreRefused(t *testing.T) {
	for name, opt := range map[string]publisher.Option{
		"nil": nil, "window": publisher.Window(0, 1), "bytes": publisher.Window(1, -1), "attempts": publisher.MaxAttempts(-1),
		"grace": publisher.ReturnGrace(-time.Second), "exchange": publisher.Exchange(strings.Repeat("x", 256)),
	} {
		p, err := publisher.New(session.New(session.Config{}), opt)
		if err == nil || p != nil || !strings.HasPrefix(err.Error(), "publisher: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, opt := range map[string]publisher.Option{
		"attempts": publisher.MaxAttempts(0), "grace": publisher.ReturnGrace(0), "one message": publisher.Window(1, 1),
	} {
		if _, err := publisher.New(session.New(session.Config{}), opt); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (e *env) sendTo(p *publisher.Publisher, queue string) *publisher.Receipt {
	e.Helper()
	r, err := p.Send(e.ctx, to(queue, "before"))
	if err != nil {
		e.Fatal(err)
	}
	return r
}

func outcomeOf(err error) core.Outcome {
	if err == nil {
		return core.OutcomeConfirmed
	}
	if o, ok := errs.AsType[*core.OutcomeError](err); ok {
		return o.Verdict.Outcome
	}
	return core.OutcomePending
}

func TestOutcomeIsKnownWhenTheChannelDies(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher(publisher.AtMostOnce())
		defer e.closeOf(p)
		e.wantConfirmed(e.sendTo(p, "q"))
		e.socket().In().Stall() // no verdicts
		receipts := e.send(p, 1, 3)
		synctest.Wait()
		e.broker.RefuseConnections() // and no way back
		begun := time.Now()
		e.socket().Reset()
		for i, r := range receipts {
			if out, err := r.Wait(e.ctx); out != core.OutcomeUnknown || !errors.Is(err, core.ErrUnknown) {
				t.Errorf("message %d: %v, %v", i+1, out, err)
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("known after %s; want at once", took)
		}
	})
}

func TestInvalidMessagesAreRefusedBeforeAnythingIsSent(t *testing.T) {
	long := string(make([]byte, 256))
	for _, m := range []publisher.Message{
		{RoutingKey: long}, {Exchange: long}, {RoutingKey: "q", Properties: core.Properties{Type: long}},
		{RoutingKey: "q", Properties: core.Properties{Headers: core.Table{"x": struct{}{}}}},
	} {
		for _, connected := range []bool{true, false} {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				p := e.publisher(publisher.Window(1, 1<<20))
				defer e.closeOf(p)
				if connected {
					e.wantConfirmed(e.sendTo(p, "q"))
				} else {
					e.broker.Stop()
				}
				err := p.Publish(e.ctx, m)
				if _, ok := errs.AsType[*core.ValidationError](err); !ok {
					t.Errorf("connected %t: %v; want a validation error", connected, err)
				}
				if s := p.Stats(); s.Open != 0 || s.OpenBytes != 0 {
					t.Errorf("connected %t: the window still holds %d messages, %d bytes", connected, s.Open, s.OpenBytes)
				}
				if connected && e.dials() != 1 {
					t.Error("the connection was lost over it")
				}
			})
		}
	}
}

func TestStatsAddUp(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		e.queue("full", wire.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
		p := e.publisher(publisher.MaxAttempts(1))
		for _, m := range []publisher.Message{
			to("q", "1"), to("q", "2"), to("nowhere", ""), to("full", "1"), to("full", "2"), {Exchange: "none"},
		} {
			_ = p.Publish(e.ctx, m) // the outcomes are counted
		}
		e.wantConfirmed(e.sendTo(p, "q")) // on a new channel, after the one that was closed
		e.socket().In().Stall()
		ctx, cancel := context.WithTimeout(e.ctx, time.Second)
		defer cancel()
		_ = p.Publish(ctx, to("q", "3"))
		e.closeOf(p)
		_ = p.Publish(e.ctx, to("q", "4"))
		want := publisher.Stats{Confirmed: 4, Returned: 1, Nacked: 2, Unknown: 1, NotSent: 1}
		if got := p.Stats(); got != want {
			t.Errorf("got %+v; want %+v", got, want)
		}
	})
}
