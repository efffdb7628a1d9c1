package consumer_test

import (
	"context"
	"fmt"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/channel"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// connect returns a logical connection to a broker in memory that holds a
// queue "orders" with three messages. Users of package warren get consumers
// from their client.
func connect(ctx context.Context) (conn *session.Connection, end func()) {
	broker := brokertest.NewBroker()
	endpoint, err := core.ParseURL(broker.URL())
	if err != nil {
		panic(err)
	}
	conn = session.New(session.Config{Name: "main", Resolver: recovery.Endpoints(endpoint)})
	ch, err := channel.Open(ctx, conn)
	if err != nil {
		panic(err)
	}
	if _, err := ch.QueueDeclare(ctx, core.QueueDeclare{Queue: "orders", Durable: true}); err != nil {
		panic(err)
	}
	for _, body := range []string{"one", "bad", "three"} {
		if err := ch.Publish(ctx, &core.Publishing{RoutingKey: "orders", Body: []byte(body)}); err != nil {
			panic(err)
		}
	}
	return conn, func() {
		_ = conn.Close(context.Background())
		broker.Close()
	}
}

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	conn, end := connect(ctx)
	defer end()
	c, err := consumer.New(conn, "orders", consumer.Prefetch(200))
	if err != nil {
		panic(err)
	}
	err = c.Run(ctx, func(ctx context.Context, d *core.Delivery) error {
		switch string(d.Body) {
		case "bad":
			return fmt.Errorf("%w: not an order", consumer.ErrReject)
		case "three":
			stop() // this one is still acked
		}
		fmt.Println("handled", string(d.Body))
		return nil
	})
	fmt.Println(err, c.Stats().Acked, "acked", c.Stats().Rejected, "rejected")
	// Output:
	// handled one
	// handled three
	// <nil> 2 acked 1 rejected
}

// Deliveries in a loop, to be settled by hand.
func ExampleConsumer_All() {
	ctx := context.Background()
	conn, end := connect(ctx)
	defer end()
	c, err := consumer.New(conn, "orders")
	if err != nil {
		panic(err)
	}
	for d, err := range c.All(ctx) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(string(d.Body), d.Ack())
		if string(d.Body) == "three" {
			break // what was prefetched goes back to the queue
		}
	}
	// Output:
	// one <nil>
	// bad <nil>
	// three <nil>
}
