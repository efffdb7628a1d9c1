package publisher_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// TestPoisonIsIsolated: a message over which the broker closes the channel
// ends with the broker's error, and takes no other message with it.
func TestPoisonIsIsolated(t *testing.T) {
	tooLarge := publisher.Message{RoutingKey: "q", Body: make([]byte, 2000)}
	for _, test := range []struct {
		name   string
		poison publisher.Message
		is     core.Code
		others int
	}{
		{"missing exchange, alone", publisher.Message{Exchange: "none"}, core.ErrNotFound, 0},
		{"missing exchange, among many", publisher.Message{Exchange: "none"}, core.ErrNotFound, 3000},
		{"too large, alone", tooLarge, core.ErrPreconditionFailed, 0},
		{"too large, among many", tooLarge, core.ErrPreconditionFailed, 3000},
		{"another user's id, among many", publisher.Message{RoutingKey: "q", Properties: core.Properties{UserID: "somebody else"}}, core.ErrPreconditionFailed, 3000},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				p := e.publisher()
				defer e.closeOf(p)
				e.wantConfirmed(e.sendTo(p, "q"))
				begun := time.Now()
				before := e.send(p, 1, test.others/2)
				poison, err := p.Send(e.ctx, test.poison)
				if err != nil {
					t.Fatal(err)
				}
				after := e.send(p, test.others/2+1, test.others)
				out, err := poison.Wait(e.ctx)
				if out == core.OutcomeConfirmed || !errors.Is(err, test.is) {
					t.Errorf("poison: %v, %v; want %v", out, err, test.is)
				}
				// Sent again because of itself alone, a message that no broker of that
				// kind takes was never taken; an exchange may have been there before.
				if (poison.Attempts() == 1 || test.is == core.ErrPreconditionFailed) && out != core.OutcomeNacked {
					t.Errorf("poison sent %d times: %v; want nacked", poison.Attempts(), out)
				}
				e.wantConfirmed(append(before, after...)...)
				e.wantBodies("q", append([]string{"before"}, numbers(1, test.others)...))
				t.Logf("%d channels lost, %d sent again, took %s", e.count(recovery.EventChannelLost), p.Stats().Republished, time.Since(begun))
				if n := e.count(recovery.EventChannelLost); n > 25 {
					t.Errorf("%d channels lost to find one message", n)
				}
				if e.dials() != 1 {
					t.Errorf("%d connections", e.dials())
				}
			}, brokertest.WithMaxMessage(1000))
		})
	}
}

func TestAStormOfPoisonDoesNotReopenInATightLoop(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher()
		defer e.closeOf(p)
		begun := time.Now()
		for time.Since(begun) < time.Minute {
			if err := p.Publish(e.ctx, publisher.Message{Exchange: "none"}); !errors.Is(err, core.ErrNotFound) {
				t.Fatal(err)
			}
		}
		if n := e.count(recovery.EventChannelLost); n > 75 {
			t.Errorf("%d channels opened in a minute", n)
		}
		e.wantConfirmed(e.sendTo(p, "q"))
	})
}

// Whoever gave a bad message up must not have another one blamed for it.
func TestNobodyIsBlamedForAMessageGivenUp(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher()
		defer e.closeOf(p)
		e.wantConfirmed(e.sendTo(p, "q"))
		e.broker.OnReceive(wire.MethodBasicPublish, func(ev brokertest.Event) brokertest.Action {
			if ev.Properties.Type == "bad" {
				return brokertest.Delay(2 * time.Second)
			}
			return brokertest.Pass
		})
		ctx, cancel := timeout(e.ctx, time.Second)
		defer cancel()
		bad, err := p.Send(ctx, publisher.Message{RoutingKey: "q", Properties: core.Properties{Type: "bad", UserID: "somebody else"}})
		if err != nil {
			t.Fatal(err)
		}
		good := e.sendTo(p, "q")
		if out, err := bad.Wait(e.ctx); out != core.OutcomeUnknown || !errors.Is(err, errEnough) {
			t.Errorf("the one given up: %v, %v", out, err)
		}
		e.wantConfirmed(good)
	})
}

// A group of messages in flight of which all are given up must not leave the
// rest waiting for their verdicts.
func TestGivingUpWhileAPoisonIsSought(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher()
		defer e.closeOf(p)
		e.wantConfirmed(e.sendTo(p, "q"))
		var slow bool
		e.broker.OnReceive(wire.MethodBasicPublish, func(ev brokertest.Event) brokertest.Action {
			if slow && string(ev.Body) == "1" {
				return brokertest.Unconfirmed
			}
			return brokertest.Pass
		})
		ctx, cancel := timeout(e.ctx, 10*time.Second)
		defer cancel()
		first, err := p.Send(ctx, to("q", "1"))
		if err != nil {
			t.Fatal(err)
		}
		slow = true
		poison, err := p.Send(e.ctx, publisher.Message{RoutingKey: "q", Properties: core.Properties{UserID: "somebody else"}})
		if err != nil {
			t.Fatal(err)
		}
		rest := e.send(p, 2, 20)
		if out, err := poison.Wait(e.ctx); !errors.Is(err, core.ErrPreconditionFailed) {
			t.Errorf("poison: %v, %v", out, err)
		}
		e.wantConfirmed(rest...)
		if out, err := first.Wait(e.ctx); out != core.OutcomeUnknown || !errors.Is(err, errEnough) {
			t.Errorf("the one without a verdict: %v, %v", out, err)
		}
	})
}

// A broker that confirms nothing for a while does not stop the search for good: the rest is sent all the same.
func TestASlowBrokerDoesNotStopTheSearch(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher()
		defer e.closeOf(p)
		e.wantConfirmed(e.sendTo(p, "q"))
		var slow atomic.Bool
		slow.Store(true)
		e.broker.OnReceive(wire.MethodBasicPublish, func(ev brokertest.Event) brokertest.Action {
			if string(ev.Body) == "bad" {
				return brokertest.Refuse(406, "PRECONDITION_FAILED - it is bad")
			}
			if slow.Load() {
				return brokertest.Unconfirmed
			}
			return brokertest.Pass
		})
		before := e.send(p, 1, 20)
		bad, err := p.Send(e.ctx, to("q", "bad"))
		if err != nil {
			t.Fatal(err)
		}
		after := e.send(p, 21, 40)
		synctest.Wait() // the first group is out, and its verdicts are never to come on this channel
		slow.Store(false)
		ctx, cancel := timeout(e.ctx, time.Minute)
		defer cancel()
		if out, err := bad.Wait(ctx); out != core.OutcomeNacked || !errors.Is(err, core.ErrPreconditionFailed) {
			t.Errorf("%v, %v", out, err)
		}
		e.wantConfirmed(append(before, after...)...)
	})
}
