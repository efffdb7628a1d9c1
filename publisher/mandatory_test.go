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
	"github.com/warren-mq/warren/topology"
)

// exchange declares a durable exchange, with a queue of its name bound to it by key k, on a plain connection.
func (e *env) exchange(x topology.Exchange) {
	e.Helper()
	ch := e.channel()
	defer func() { _ = ch.Conn().Close(e.ctx) }()
	_, err := ch.QueueDeclare(e.ctx, core.QueueDeclare{Queue: x.Name, Durable: true})
	err = errors.Join(err, ch.ExchangeDeclare(e.ctx, *x.Declare()), ch.QueueBind(e.ctx, core.QueueBind{Queue: x.Name, Exchange: x.Name, RoutingKey: "k"}))
	if err != nil {
		e.Fatal(err)
	}
}

// inTheGrace has the client reconnect once it has published.
func (e *env) inTheGrace(p *publisher.Publisher) {
	e.Helper()
	e.queue("q", nil)
	e.wantConfirmed(e.sendTo(p, "q"))
	e.broker.Cut()
	if _, err := e.conn.SessionAfter(e.ctx, 1); err != nil {
		e.Fatal(err)
	}
}

func delayedBy(ms any) publisher.Message {
	return publisher.Message{Exchange: "later", RoutingKey: "k", Body: []byte("x"), Properties: core.Properties{Headers: core.Table{"x-delay": ms}}}
}

var laterExchange = topology.Exchange{Name: "later", Type: "x-delayed-message", Arguments: topology.Table{"x-delayed-type": "direct"}}

// A delayed message is delivered though it is returned: it is not called returned, nor sent again, whatever the client knows.
func TestDelayedMessageIsDeliveredOnceAndNotCalledReturned(t *testing.T) {
	for _, test := range []struct {
		name     string
		recorded bool
		choice   publisher.Mandatory
		want     core.Outcome
	}{
		{"declared by this client", true, publisher.MandatoryAuto, core.OutcomeConfirmed},
		{"declared by another", false, publisher.MandatoryAuto, core.OutcomeUnknown},
		{"not mandatory", false, publisher.MandatoryOff, core.OutcomeConfirmed},
		{"mandatory whatever it means", true, publisher.MandatoryOn, core.OutcomeReturned},
	} {
		for _, again := range []bool{false, true} {
			inBubble(t, func(e *env) {
				e.exchange(laterExchange)
				if test.recorded {
					if err := e.recorder.Exchange(laterExchange); err != nil {
						t.Fatal(err)
					}
				}
				p := e.publisher()
				defer e.closeOf(p)
				if again {
					e.inTheGrace(p)
				}
				begun := time.Now()
				m := delayedBy(1000)
				m.Mandatory = test.choice
				err := p.Publish(e.ctx, m)
				if took := time.Since(begun); outcomeOf(err) != test.want || took > 0 {
					t.Errorf("%s, after a reconnect %t: %v after %s; want %v at once", test.name, again, err, took, test.want)
				}
				time.Sleep(time.Minute)
				if n := len(e.contents("later")); n != 1 {
					t.Errorf("%s, after a reconnect %t: delivered %d times", test.name, again, n)
				}
			}, brokertest.WithDelayedExchanges())
		}
	}
}

// What a delayed exchange does not delay is mandatory like anything else.
func TestWhatIsNotDelayedIsMandatory(t *testing.T) {
	for _, delay := range []any{nil, 0, -1000, "soon", int64(1) << 32} {
		inBubble(t, func(e *env) {
			e.exchange(laterExchange)
			if err := e.recorder.Exchange(laterExchange); err != nil {
				t.Fatal(err)
			}
			p := e.publisher()
			defer e.closeOf(p)
			m := delayedBy(delay)
			if delay == nil {
				m.Properties.Headers = nil
			}
			m.RoutingKey = "nowhere"
			if err := p.Publish(e.ctx, m); outcomeOf(err) != core.OutcomeReturned {
				t.Errorf("x-delay %v: %v", delay, err)
			}
		}, brokertest.WithDelayedExchanges())
	}
	for _, delay := range []any{1, int64(1000), uint8(200), "1000", 1.5, float32(2)} {
		inBubble(t, func(e *env) {
			e.exchange(laterExchange)
			if err := e.recorder.Exchange(laterExchange); err != nil {
				t.Fatal(err)
			}
			p := e.publisher()
			defer e.closeOf(p)
			if err := p.Publish(e.ctx, delayedBy(delay)); err != nil {
				t.Errorf("x-delay %v: %v", delay, err)
			}
		}, brokertest.WithDelayedExchanges())
	}
}

// RabbitMQ before 4.2 returns every direct reply that is mandatory, and delivers it.
func TestDirectReplyIsDeliveredOnceAndNotCalledReturned(t *testing.T) {
	for _, version := range []string{"4.3", "4.0", "3.10"} {
		for _, again := range []bool{false, true} {
			inBubble(t, func(e *env) {
				ch := e.channel()
				replies, err := ch.Consume(e.ctx, core.BasicConsume{Queue: "amq.rabbitmq.reply-to", NoAck: true})
				if err != nil {
					t.Fatal(err)
				}
				e.queue("requests", nil)
				if err := ch.Publish(e.ctx, &core.Publishing{RoutingKey: "requests", Properties: core.Properties{ReplyTo: "amq.rabbitmq.reply-to"}}); err != nil {
					t.Fatal(err)
				}
				request, err := ch.Get(e.ctx, core.BasicGet{Queue: "requests", NoAck: true})
				if err != nil {
					t.Fatal(err)
				}
				p := e.publisher()
				defer e.closeOf(p)
				if again {
					e.queue("q", nil)
					e.wantConfirmed(e.sendTo(p, "q"))
					e.conn.Reconnect(errEnough)
					if _, err := e.conn.SessionAfter(e.ctx, 1); err != nil {
						t.Fatal(err)
					}
				}
				if err := p.Publish(e.ctx, to(request.Properties().ReplyTo, "reply")); err != nil {
					t.Errorf("%s, after a reconnect %t: %v", version, again, err)
				}
				time.Sleep(time.Minute)
				n := 0
				for d, err := replies.TryReceive(); d != nil && err == nil; d, err = replies.TryReceive() {
					n++
				}
				if n != 1 {
					t.Errorf("%s, after a reconnect %t: %d replies", version, again, n)
				}
				if version != "4.3" {
					m := to(request.Properties().ReplyTo, "reply")
					m.Mandatory = publisher.MandatoryOn
					if err := p.Publish(e.ctx, m); outcomeOf(err) != core.OutcomeReturned {
						t.Errorf("%s, after a reconnect %t, mandatory: %v", version, again, err)
					}
				}
				_ = ch.Conn().Close(e.ctx)
			}, brokertest.WithVersion(version))
		}
	}
}

// The message's own choice goes before its exchange's, and that before the publisher's.
func TestMandatoryIsAChoiceOfMessageExchangeAndPublisher(t *testing.T) {
	to := func(exchange string, choice publisher.Mandatory) publisher.Message {
		return publisher.Message{Exchange: exchange, RoutingKey: "nowhere", Mandatory: choice}
	}
	perExchange := []publisher.Option{
		publisher.ExchangeMandatory("amq.topic", publisher.MandatoryOff), publisher.ExchangeMandatory("amq.direct", publisher.MandatoryOn),
	}
	for _, test := range []struct {
		opts []publisher.Option
		m    publisher.Message
		want bool
	}{
		{nil, to("", publisher.MandatoryAuto), true},
		{nil, to("", publisher.MandatoryOff), false},
		{nil, to("amq.topic", publisher.MandatoryAuto), true},
		{[]publisher.Option{publisher.AllowUnroutable()}, to("", publisher.MandatoryAuto), false},
		{[]publisher.Option{publisher.AllowUnroutable()}, to("", publisher.MandatoryOn), true},
		{perExchange, to("amq.topic", publisher.MandatoryAuto), false},
		{perExchange, to("amq.topic", publisher.MandatoryOn), true},
		{append(perExchange, publisher.AllowUnroutable()), to("amq.direct", publisher.MandatoryAuto), true},
		{append(perExchange, publisher.AllowUnroutable()), to("amq.direct", publisher.MandatoryOff), false},
		{append(perExchange, publisher.AllowUnroutable()), to("amq.fanout", publisher.MandatoryAuto), false},
		{append(perExchange, publisher.Exchange("amq.direct"), publisher.AllowUnroutable()), to("", publisher.MandatoryAuto), true},
	} {
		inBubble(t, func(e *env) {
			var got []bool
			e.broker.OnReceive(wire.MethodBasicPublish, func(event brokertest.Event) brokertest.Action {
				got = append(got, event.Method.(*wire.BasicPublish).Mandatory)
				return brokertest.Pass
			})
			p := e.publisher(test.opts...)
			defer e.closeOf(p)
			err := p.Publish(e.ctx, test.m)
			synctest.Wait()
			if len(got) != 1 || got[0] != test.want || (outcomeOf(err) == core.OutcomeReturned) != test.want {
				t.Errorf("%+v: mandatory %v, %v; want %t", test.m, got, err, test.want)
			}
		})
	}
}

// Nobody knows what an exchange of somebody's own type does with what it returns: it is not sent again.
func TestReturnOfAnUnknownTypeIsNotSentAgain(t *testing.T) {
	inBubble(t, func(e *env) {
		x := topology.Exchange{Name: "strange"}
		e.exchange(x)
		x.Type = "x-somebodys-own"
		p := e.publisher()
		defer e.closeOf(p)
		e.inTheGrace(p)
		if err := e.recorder.Exchange(x); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		r, err := p.Send(e.ctx, publisher.Message{Exchange: "strange", RoutingKey: "nowhere"})
		if err != nil {
			t.Fatal(err)
		}
		if o, err := r.Wait(e.ctx); o != core.OutcomeReturned || time.Since(begun) > 0 || r.Attempts() != 1 {
			t.Errorf("%v after %s and %d attempts", err, time.Since(begun), r.Attempts())
		}
	})
}
