package live

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/publisher"
)

// TestPublishingWithRabbitMQ is about what the versions of WARREN_VERSIONS do to publishes.
func TestPublishingWithRabbitMQ(t *testing.T) {
	versions := strings.Fields(os.Getenv("WARREN_VERSIONS"))
	if len(versions) == 0 {
		versions = []string{docker.MainVersion}
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			broker := dockertest.Run(t, version, docker.Options{})
			for name, run := range map[string]func(e *env){
				"returns of equal messages": testEqualReturns, "direct replies": testDirectReplies,
				"odd properties": testOddProperties, "closed connections": testClosedConnections,
			} {
				t.Run(name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					client, err := warren.Dial(ctx, broker.URL())
					if err != nil {
						t.Fatal(err)
					}
					run(&env{t, broker, client, ctx})
					if err := client.Close(ctx); err != nil {
						t.Errorf("close: %v", err)
					}
				})
			}
		})
	}
}

// plain returns a channel of a connection of its own.
func (e *env) plain() *core.Channel {
	e.Helper()
	cfg, err := core.ParseURL(e.broker.URL())
	if err != nil {
		e.Fatal(err)
	}
	conn, err := core.Dial(e.ctx, cfg)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { _ = conn.Close(context.Background()) })
	ch, err := conn.Channel(e.ctx)
	if err != nil {
		e.Fatal(err)
	}
	return ch
}

// testDirectReplies answers requests, also right after a reconnect: each reply is confirmed, and sent once.
func testDirectReplies(e *env) {
	// A node that answers may still be starting, and then delivers no replies.
	if out, err := e.broker.Exec(e.ctx, "rabbitmqctl", "await_startup"); err != nil {
		e.Fatalf("%v: %s", err, out)
	}
	e.declare(warren.Queue{Name: "requests"})
	p := e.publisher()
	for _, body := range []string{"1", "2"} {
		ch := e.plain()
		replies, err := ch.Consume(e.ctx, core.BasicConsume{Queue: "amq.rabbitmq.reply-to", NoAck: true})
		if err != nil {
			e.Fatal(err)
		}
		if err := ch.Publish(e.ctx, &core.Publishing{RoutingKey: "requests", Properties: core.Properties{ReplyTo: "amq.rabbitmq.reply-to"}}); err != nil {
			e.Fatal(err)
		}
		request, err := ch.Get(e.ctx, core.BasicGet{Queue: "requests", NoAck: true}) // behind the publish on its channel
		if err != nil || request == nil {
			e.Fatalf("no request: %v", err)
		}
		if err := p.Publish(e.ctx, warren.Message{RoutingKey: request.Properties().ReplyTo, Body: []byte(body)}); err != nil {
			e.Errorf("reply %s: %v", body, err)
		}
		if d, err := replies.Receive(e.ctx); err != nil || string(d.Body) != body {
			e.Errorf("want reply %s, got %v, %v", body, d, err)
		}
		e.client.Reconnect(errors.New("test")) // the second one is answered within the grace
	}
	if s := p.Stats(); s.Confirmed != 2 || s.Republished != 0 {
		e.Errorf("%+v", s)
	}
}

// testOddProperties publishes what is valid though it does not look so, and what is not.
func testOddProperties(e *env) {
	e.declare(warren.Queue{Name: "odd"})
	p := e.publisher()
	for _, props := range []warren.Properties{
		{Expiration: "+60000"}, {Expiration: "-0"}, {Expiration: "0060000"}, {Expiration: "315360000000"}, {Priority: 255},
		{Headers: warren.Table{"CC": []any{}}}, {Headers: warren.Table{"CC": []any{1, nil, "odd"}, "BCC": []string{"odd"}}},
		{Headers: warren.Table{"x-stream-filter-value": "eu"}}, {ReplyTo: "amq.rabbitmq.reply-to.x"}, {UserID: "guest"},
	} {
		if err := p.Publish(e.ctx, warren.Message{RoutingKey: "odd", Properties: props}); err != nil {
			e.Errorf("%+v: %v", props, err)
		}
	}
	for _, props := range []warren.Properties{
		{Expiration: "60s"}, {Expiration: "-1"}, {Headers: warren.Table{"BCC": "odd"}}, {ReplyTo: "amq.rabbitmq.reply-to"},
	} {
		err := p.Publish(e.ctx, warren.Message{RoutingKey: "odd", Properties: props})
		if _, ok := errs.AsType[*core.ValidationError](err); !ok {
			e.Errorf("%+v: %v", props, err)
		}
	}
	if s := p.Stats(); s.Confirmed != 10 || s.Republished != 0 {
		e.Errorf("%+v", s)
	}
}

// testClosedConnections publishes what RabbitMQ closes the connection over among what it takes: the first is found on a connection
// of its own and ends with the broker's error, the second is confirmed, and the client loses its connection once.
func testClosedConnections(e *env) {
	e.declare(warren.Queue{Name: "fatal", Type: "stream"}, warren.Queue{Name: "sound"})
	ch := e.plain()
	for _, queue := range []string{"fatal", "sound"} {
		if err := ch.QueueBind(e.ctx, core.QueueBind{Queue: queue, Exchange: "amq.fanout"}); err != nil {
			e.Fatal(err)
		}
	}
	price := warren.Properties{Headers: warren.Table{"price": core.Decimal{Scale: 2, Value: 999}}}
	for _, test := range []struct {
		exchange string
		out      core.Outcome
	}{{"", core.OutcomeNacked}, {"amq.fanout", core.OutcomeUnknown}} { // the other queue of the exchange has it
		p := e.publisher()
		if err := p.Publish(e.ctx, warren.Message{RoutingKey: "sound"}); err != nil {
			e.Fatal(err)
		}
		var sound []*publisher.Receipt
		var fatal *publisher.Receipt
		for i := range 100 {
			m := warren.Message{RoutingKey: "sound", Body: fmt.Append(nil, i)}
			if i == 50 {
				m = warren.Message{Exchange: test.exchange, RoutingKey: "fatal", Properties: price}
			}
			r, err := p.Send(e.ctx, m)
			if err != nil {
				e.Fatal(err)
			}
			if sound = append(sound, r); i == 50 {
				fatal, sound = r, sound[:50]
			}
		}
		if out, err := fatal.Wait(e.ctx); out != test.out || !errors.Is(err, core.ErrInternal) {
			e.Errorf("exchange %q: %v, %v; want %v by 541", test.exchange, out, err, test.out)
		}
		for i, r := range sound {
			if out, err := r.Wait(e.ctx); out != core.OutcomeConfirmed {
				e.Errorf("message %d: %v, %v", i, out, err)
			}
		}
		if err := p.Publish(e.ctx, warren.Message{RoutingKey: "sound"}); err != nil {
			e.Error(err)
		}
	}
	if err := e.publisher().Publish(e.ctx, warren.Message{RoutingKey: "sound", Properties: warren.Properties{Headers: warren.Table{"ratio": math.NaN()}}}); !strings.Contains(fmt.Sprint(err), "not finite") {
		e.Errorf("%v; want it to be refused before it is sent", err)
	}
}

// testEqualReturns has the route of a message taken away while it is not confirmed yet, and the same one sent again.
func testEqualReturns(e *env) {
	ch := e.plain()
	_, err := ch.QueueDeclare(e.ctx, core.QueueDeclare{Queue: "equal", Durable: true, Arguments: core.Table{"x-queue-type": "quorum"}})
	err = errors.Join(err, ch.ExchangeDeclare(e.ctx, core.ExchangeDeclare{Exchange: "equal", Type: "direct", Durable: true}), ch.Confirm(e.ctx, core.ConfirmSelect{}))
	if err != nil {
		e.Fatal(err)
	}
	const rounds, copies = 20, 5
	for round := range rounds {
		if err := ch.QueueBind(e.ctx, core.QueueBind{Queue: "equal", Exchange: "equal", RoutingKey: "k"}); err != nil {
			e.Fatal(err)
		}
		var all []*core.Confirmation
		publish := func() {
			for range copies {
				m := &core.Publishing{Exchange: "equal", RoutingKey: "k", Mandatory: true, Body: fmt.Append(nil, round)}
				m.Properties.MessageID, m.Properties.Headers = "the same", core.Table{"mine": "too"}
				c, err := ch.PublishConfirm(e.ctx, m)
				if err != nil {
					e.Fatal(err)
				}
				all = append(all, c)
			}
		}
		publish()
		unbound, err := ch.Request(e.ctx, &core.QueueUnbind{Queue: "equal", Exchange: "equal", RoutingKey: "k"})
		if err != nil {
			e.Fatal(err)
		}
		publish()
		if _, err := unbound.Wait(e.ctx); err != nil {
			e.Fatal(err)
		}
		for i, c := range all {
			want := core.OutcomeConfirmed
			if i >= copies {
				want = core.OutcomeReturned
			}
			v, err := c.Wait(e.ctx)
			if err != nil || v.Outcome != want {
				e.Errorf("round %d, message %d: %v, %v; want %v", round, i, v.Outcome, err, want)
			}
			if r := v.Return; r != nil && (r.Text != "NO_ROUTE" || len(r.Properties().Headers) != 1 || r.Properties().Headers["mine"] != "too") {
				e.Errorf("returned with %q and %+v", r.Text, r.Properties())
			}
		}
	}
	q, err := ch.QueueDeclare(e.ctx, core.QueueDeclare{Queue: "equal", Passive: true})
	if err != nil || q.MessageCount != rounds*copies {
		e.Errorf("%d messages in the queue, %v; want %d", q.MessageCount, err, rounds*copies)
	}
}
