package core_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/charset"
	"github.com/warren-mq/warren/internal/errs"
)

// dial connects to a broker in memory; a real one is dialled the same way.
func dial(ctx context.Context, b *brokertest.Broker) (*core.Conn, *core.Channel) {
	cfg, err := core.ParseURL(b.URL())
	if err != nil {
		panic(err)
	}
	cfg.Name, cfg.Heartbeat = "orders", 10*time.Second
	conn, err := core.Dial(ctx, cfg)
	if err != nil {
		panic(err)
	}
	ch, err := conn.Channel(ctx)
	if err != nil {
		panic(err)
	}
	return conn, ch
}

func ExampleChannel_PublishConfirm() {
	ctx := context.Background()
	b := brokertest.NewBroker()
	defer b.Close()
	conn, ch := dial(ctx, b)
	defer func() { _ = conn.Close(ctx) }()

	if err := ch.Confirm(ctx, core.ConfirmSelect{}); err != nil {
		fmt.Println(err)
		return
	}
	confirmation, err := ch.PublishConfirm(ctx, &core.Publishing{
		RoutingKey: "nobody-listens", Mandatory: true, Body: []byte("hello"),
	})
	if err != nil { // nothing was sent
		fmt.Println(err)
		return
	}
	verdict, err := confirmation.Wait(ctx)
	if err != nil { // ctx ended; the verdict is still to come
		fmt.Println(err)
		return
	}
	err = verdict.Err()
	fmt.Println(verdict.Outcome, errors.Is(err, core.ErrReturned), errors.Is(err, core.ErrNoRoute))
	// Output: returned true true
}

func ExampleConsumer_All() {
	ctx := context.Background()
	b := brokertest.NewBroker()
	defer b.Close()
	conn, ch := dial(ctx, b)
	defer func() { _ = conn.Close(ctx) }()

	q, err := ch.QueueDeclare(ctx, core.QueueDeclare{Exclusive: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := charset.Encode("iso-8859-1", "grün")
	for _, m := range []core.Publishing{
		{RoutingKey: q.Queue, Body: text, Properties: core.Properties{ContentEncoding: "iso-8859-1"}},
		{RoutingKey: q.Queue, Body: []byte("last")},
	} {
		if err := ch.Publish(ctx, &m); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := ch.Qos(ctx, core.BasicQos{PrefetchCount: 100}); err != nil {
		fmt.Println(err)
		return
	}
	consumer, err := ch.Consume(ctx, core.BasicConsume{Queue: q.Queue})
	if err != nil {
		fmt.Println(err)
		return
	}
	for d, err := range consumer.All(ctx) {
		if err != nil { // the consumer or ctx ended
			fmt.Println(err)
			return
		}
		body, _ := charset.Decode(d.Properties().ContentEncoding, d.Body)
		fmt.Println(body, d.Ack())
		if body == "last" {
			break
		}
	}
	// Output:
	// grün <nil>
	// last <nil>
}

// What RabbitMQ refuses ends the channel, with a typed error, and nothing else.
func ExampleError() {
	ctx := context.Background()
	b := brokertest.NewBroker()
	defer b.Close()
	conn, ch := dial(ctx, b)
	defer func() { _ = conn.Close(ctx) }()

	_, err := ch.QueueDeclare(ctx, core.QueueDeclare{Queue: "missing", Passive: true})
	if e, ok := errs.AsType[*core.Error](err); ok {
		fmt.Println(e.Method, e.Code, e.Scope, e.Recoverable())
	}
	fmt.Println(errors.Is(err, core.ErrNotFound), ch.Err() != nil, conn.Err())
	// Output:
	// queue.declare not-found (404) channel false
	// true true <nil>
}
