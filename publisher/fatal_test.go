package publisher_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// closesOver has the broker close the connection over each message of this type, without a method,
// as RabbitMQ does over what it cannot handle.
func (e *env) closesOver(kind string, code uint16) {
	e.broker.OnReceive(wire.MethodBasicPublish, func(ev brokertest.Event) brokertest.Action {
		if ev.Properties.Type != kind {
			return brokertest.Pass
		}
		_, _ = e.broker.Inject(ev.Connection, 0, &wire.ConnectionClose{ReplyCode: code, ReplyText: "INTERNAL_ERROR"}, wire.Properties{}, nil)
		return brokertest.Swallow
	})
}

// withBad returns a publisher to queue "q", on a broker that closes the connection over each message of type "bad".
func (e *env) withBad() *publisher.Publisher {
	e.Helper()
	e.queue("q", nil)
	e.closesOver("bad", 541)
	p := e.publisher()
	e.wantConfirmed(e.sendTo(p, "q"))
	return p
}

// bad is the message over which that broker closes the connection.
var bad = publisher.Message{RoutingKey: "q", Properties: core.Properties{Type: "bad"}}

func (e *env) sendBad(p *publisher.Publisher) *publisher.Receipt {
	e.Helper()
	r, err := p.Send(e.ctx, bad)
	if err != nil {
		e.Fatal(err)
	}
	return r
}

// TestAMessageThatClosesTheConnectionIsIsolated: it ends with the broker's error, takes no other message with it,
// and costs the connection that others use too once.
func TestAMessageThatClosesTheConnectionIsIsolated(t *testing.T) {
	decimal := publisher.Message{RoutingKey: "stream", Properties: core.Properties{Headers: core.Table{"price": core.Decimal{Scale: 2, Value: 999}}}}
	byExchange := decimal
	byExchange.Exchange, byExchange.RoutingKey = "amq.fanout", ""
	bad := func(code core.Code) publisher.Message {
		return publisher.Message{RoutingKey: "q", Properties: core.Properties{Type: code.Error()}}
	}
	for _, test := range []struct {
		name   string
		poison publisher.Message
		is     core.Code
		out    core.Outcome
		others int
	}{
		{"decimal to a stream, alone", decimal, core.ErrInternal, core.OutcomeNacked, 0},
		{"decimal to a stream, among many", decimal, core.ErrInternal, core.OutcomeNacked, 1000},
		{"by an exchange, where another queue may have it", byExchange, core.ErrInternal, core.OutcomeUnknown, 10},
		{"fault of protocol, alone", bad(core.ErrSyntax), core.ErrSyntax, core.OutcomeNacked, 0},
		{"fault of protocol, among many", bad(core.ErrFrame), core.ErrFrame, core.OutcomeNacked, 1000},
		{"fault of protocol, among three", bad(core.ErrChannel), core.ErrChannel, core.OutcomeNacked, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				e.queue("stream", wire.Table{"x-queue-type": "stream"})
				e.bind("stream", "amq.fanout")
				e.bind("q", "amq.fanout")
				e.closesOver(test.is.Error(), uint16(test.is))
				p, neighbour := e.publisher(), e.publisher()
				defer e.closeOf(p)
				defer e.closeOf(neighbour)
				e.wantConfirmed(e.sendTo(p, "q"))
				e.wantConfirmed(e.sendTo(neighbour, "q"))
				before := e.send(p, 1, test.others/2)
				poison, err := p.Send(e.ctx, test.poison)
				if err != nil {
					t.Fatal(err)
				}
				after := e.send(p, test.others/2+1, test.others)
				besides := e.sendTo(neighbour, "q")
				begun := time.Now()
				out, err := poison.Wait(e.ctx)
				if out != test.out || !errors.Is(err, test.is) {
					t.Errorf("poison: %v, %v; want %v by %v", out, err, test.out, test.is)
				}
				e.wantConfirmed(append(before, after...)...)
				e.wantConfirmed(besides)
				e.wantConfirmed(e.sendTo(p, "q"), e.sendTo(neighbour, "q"))
				t.Logf("%d connections lost, %d apart, took %s", e.count(recovery.EventLost), e.dials()-2, time.Since(begun))
				if n := e.count(recovery.EventLost); n != 1 {
					t.Errorf("%d losses of the connection that is shared; want 1", n)
				}
				if n := e.dials(); n > 20 {
					t.Errorf("%d connections to find one message", n)
				}
				if took := time.Since(begun); took > 20*time.Second {
					t.Errorf("found after %s", took)
				}
				synctest.Wait()
				if n := len(e.broker.Links()); n != 1 {
					t.Errorf("%d connections are left; want that of the client alone", n)
				}
				want := map[string]bool{}
				for _, body := range numbers(1, test.others) {
					want[body] = true
				}
				for _, body := range e.bodies("q") {
					delete(want, body)
				}
				if len(want) > 0 {
					t.Errorf("%d messages are not in the queue", len(want))
				}
			})
		})
	}
}

// What an operator does, or the network, or another method was refused for, is no reason to blame a message.
func TestNobodyIsBlamedForAConnectionClosedOverSomethingElse(t *testing.T) {
	for name, m := range map[string]*wire.ConnectionClose{
		"by an operator":         {ReplyCode: 320, ReplyText: "CONNECTION_FORCED"},
		"over another method":    {ReplyCode: 541, ReplyText: "INTERNAL_ERROR", ClassID: 60, MethodID: 20},
		"for other reasons":      {ReplyCode: 530, ReplyText: "NOT_ALLOWED"},
		"twice over nothing":     {ReplyCode: 541, ReplyText: "INTERNAL_ERROR"},
		"without a word, thrice": nil,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				p := e.publisher()
				defer e.closeOf(p)
				e.wantConfirmed(e.sendTo(p, "q"))
				closings := 3
				if name == "twice over nothing" {
					closings = 2 // once apart
				}
				e.broker.OnReceive(wire.MethodBasicPublish, func(ev brokertest.Event) brokertest.Action {
					if closings--; closings < 0 {
						return brokertest.Pass
					}
					if m == nil {
						return brokertest.Cut
					}
					_, _ = e.broker.Inject(ev.Connection, 0, m, wire.Properties{}, nil)
					return brokertest.Swallow
				})
				r := e.sendTo(p, "q")
				e.wantConfirmed(r)
				e.wantConfirmed(e.sendTo(p, "q"))
			})
		})
	}
}

// Each of two publishers had one message under way when the connection ended: that of the other is not blamed.
func TestAMessageIsNotBlamedForThatOfAnotherPublisher(t *testing.T) {
	inBubble(t, func(e *env) {
		sick, good := e.withBad(), e.publisher()
		defer e.closeOf(sick)
		defer e.closeOf(good)
		e.wantConfirmed(e.sendTo(good, "q"))
		e.broker.OnReceive(wire.MethodBasicPublish, func(ev brokertest.Event) brokertest.Action {
			return brokertest.ConfirmAfter(50 * time.Millisecond) // so that it is under way
		})
		for range 5 {
			fine := e.sendTo(good, "q")
			poison := e.sendBad(sick)
			if out, err := poison.Wait(e.ctx); out != core.OutcomeNacked || !errors.Is(err, core.ErrInternal) {
				t.Errorf("%v, %v", out, err)
			}
			e.wantConfirmed(fine)
		}
	})
}

// A service that publishes nothing else opens no connections in a tight loop.
func TestAStormOfMessagesThatCloseTheConnection(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		e.closesOver("bad", 541)
		p := e.publisher()
		defer e.closeOf(p)
		begun := time.Now()
		for time.Since(begun) < time.Minute {
			err := p.Publish(e.ctx, bad)
			if !errors.Is(err, core.ErrNacked) || !errors.Is(err, core.ErrInternal) {
				t.Fatal(err)
			}
		}
		if n := e.dials(); n > 200 {
			t.Errorf("%d connections in a minute", n)
		}
		e.wantConfirmed(e.sendTo(p, "q"))
	})
}

// While the connection apart cannot be opened, messages wait, and who waits is told why.
func TestNoConnectionApart(t *testing.T) {
	inBubble(t, func(e *env) {
		p := e.withBad()
		defer e.closeOf(p)
		full := e.broker.OnReceive(wire.MethodConnectionOpen, func(ev brokertest.Event) brokertest.Action {
			if e.dials() <= 2 { // the client's, again
				return brokertest.Pass
			}
			return brokertest.Refuse(530, "NOT_ALLOWED - connection limit is reached")
		})
		bad := e.sendBad(p)
		ctx, cancel := timeout(e.ctx, time.Minute)
		defer cancel()
		err := p.Publish(ctx, to("q", "good"))
		if !errors.Is(err, errEnough) || !errors.Is(err, core.ErrNotAllowed) {
			t.Errorf("%v; want it to say why", err)
		}
		if n := e.dials(); n > 80 {
			t.Errorf("%d attempts in a minute", n)
		}
		full.Remove()
		good := e.sendTo(p, "q")
		if out, err := bad.Wait(e.ctx); out != core.OutcomeNacked || !errors.Is(err, core.ErrInternal) {
			t.Errorf("%v, %v", out, err)
		}
		e.wantConfirmed(good)
	})
}

// A confirm that does not come does not keep the rest on the connection apart.
func TestBackFromTheConnectionApart(t *testing.T) {
	inBubble(t, func(e *env) {
		p := e.withBad()
		defer e.closeOf(p)
		var mute int
		e.broker.OnReceive(wire.MethodBasicPublish, func(ev brokertest.Event) brokertest.Action {
			if ev.Properties.Type == "bad" {
				mute = e.dials() + 2 // it is looked at once more
			}
			if e.dials() > 1 && e.dials() <= mute && string(ev.Body) == "1" {
				return brokertest.Unconfirmed
			}
			return brokertest.Pass
		})
		bad := e.sendBad(p)
		rest := e.send(p, 1, 3)
		if out, err := bad.Wait(e.ctx); out != core.OutcomeNacked {
			t.Errorf("%v, %v", out, err)
		}
		ctx, cancel := timeout(e.ctx, time.Minute)
		defer cancel()
		for _, r := range rest {
			if out, err := r.Wait(ctx); out != core.OutcomeConfirmed {
				t.Errorf("%v, %v", out, err)
			}
		}
		synctest.Wait()
		if n := len(e.broker.Links()); n != 1 {
			t.Errorf("%d connections are left", n)
		}
	})
}

func (e *env) bind(queue, exchange string) {
	e.Helper()
	ch := e.channel()
	if err := ch.QueueBind(e.ctx, core.QueueBind{Queue: queue, Exchange: exchange}); err != nil {
		e.Fatal(err)
	}
	if err := ch.Conn().Close(e.ctx); err != nil {
		e.Fatal(err)
	}
}

// Whoever closes while a message is sought on a connection apart waits for no verdict, and leaves nothing behind.
func TestCloseWhileAMessageIsSoughtApart(t *testing.T) {
	for name, end := range map[string]func(e *env, p *publisher.Publisher) error{
		"the publisher":  func(e *env, p *publisher.Publisher) error { return p.Close(e.ctx) },
		"the connection": func(e *env, p *publisher.Publisher) error { return e.conn.Close(e.ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				p := e.withBad()
				defer e.closeOf(p)
				e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Unconfirmed))
				all := e.send(p, 1, 4)
				bad := e.sendBad(p)
				all = append(all, bad)
				begun := time.Now()
				for e.dials() < 3 {
					time.Sleep(10 * time.Millisecond)
				}
				synctest.Wait()
				if err := end(e, p); err != nil {
					t.Error(err)
				}
				for _, r := range all {
					if out, err := r.Wait(e.ctx); out != core.OutcomeUnknown || !errors.Is(err, core.ErrClosed) {
						t.Errorf("%v, %v", out, err)
					}
				}
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("took %s", took)
				}
				synctest.Wait()
				if n := len(e.broker.Links()); name == "the connection" && n != 0 || n > 1 {
					t.Errorf("%d connections are left", n)
				}
			})
		})
	}
}
