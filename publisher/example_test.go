package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// connect returns a logical connection to a broker in memory. Users of package
// warren get publishers from their client.
func connect() (conn *session.Connection, end func()) {
	broker := brokertest.NewBroker()
	endpoint, err := core.ParseURL(broker.URL())
	if err != nil {
		panic(err)
	}
	conn = session.New(session.Config{Name: "publish", Resolver: recovery.Endpoints(endpoint)})
	return conn, func() {
		_ = conn.Close(context.Background())
		broker.Close()
	}
}

func Example() {
	conn, end := connect()
	defer end()
	pub, err := publisher.New(conn)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	// There is no queue of that name, so the message comes back.
	err = pub.Publish(ctx, publisher.Message{RoutingKey: "orders", Body: []byte("hello")})
	switch {
	case err == nil:
		fmt.Println("a queue has it")
	case errors.Is(err, core.ErrReturned):
		fmt.Println("no queue took it")
	case errors.Is(err, core.ErrUnknown):
		fmt.Println("ctx ended before the broker's verdict: it may have it")
	default:
		fmt.Println("the broker does not have it:", err)
	}
	fmt.Println(pub.Drain(ctx))
	// Output:
	// no queue took it
	// <nil>
}

// Many messages on their way at once, each with its own outcome.
func ExamplePublisher_Send() {
	conn, end := connect()
	defer end()
	pub, err := publisher.New(conn, publisher.AllowUnroutable(), publisher.Window(1000, 16<<20))
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	var receipts []*publisher.Receipt
	for i := range 100 {
		r, err := pub.Send(ctx, publisher.Message{RoutingKey: "orders", Body: fmt.Append(nil, i)})
		if err != nil {
			panic(err)
		}
		receipts = append(receipts, r)
	}
	for _, r := range receipts {
		if outcome, err := r.Wait(ctx); err != nil {
			fmt.Println(r.MessageID(), outcome, err)
		}
	}
	fmt.Println(pub.Stats().Confirmed, "confirmed")
	fmt.Println(pub.Close(ctx))
	// Output:
	// 100 confirmed
	// <nil>
}
