package warren_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/topology"
)

// The code on the first screen of README.md, between the two marks.
func Example() {
	broker := brokertest.NewBroker()
	defer broker.Close()
	ctx, url := context.Background(), broker.URL()
	handled := make(chan string)
	handle := func(_ context.Context, d *warren.Delivery) error { handled <- string(d.Body); return nil }
	err := readme(ctx, url, handle, func() { fmt.Println(<-handled) })
	fmt.Println(err)
	// Output:
	// hello
	// <nil>
}

func readme(ctx context.Context, url string, handle warren.Handler, wait func()) error {
	// README:
	client, err := warren.Dial(ctx, url)
	if err != nil {
		return err
	}
	defer client.Close(ctx)

	_, err = client.Declare(ctx, warren.Topology{
		Exchanges: []warren.Exchange{{Name: "orders", Type: "topic"}},
		Queues: []warren.Queue{
			warren.Queue{Name: "orders.eu", Type: "quorum"}.With(topology.DeadLetterRoutingKey("", "orders.failed")), // after 20 failures
			warren.Queue{Name: "orders.failed", Type: "quorum"}.With(topology.DeliveryLimit(-1)),
		},
		Bindings: []warren.Binding{{Source: "orders", Destination: "orders.eu", RoutingKey: "eu.#"}},
	})
	if err != nil {
		return err
	}
	eu, err := client.Consumer("orders.eu", consumer.Prefetch(200), consumer.Workers(8))
	if err != nil {
		return err
	}
	if err := eu.Start(ctx, handle); err != nil { // it is subscribed, or says why not; acks what handle returns nil for
		return err
	}

	orders, err := client.Publisher(publisher.Exchange("orders"))
	if err != nil {
		return err
	}
	err = orders.Publish(ctx, warren.Message{RoutingKey: "eu.created", Body: []byte("hello")}) // nil: confirmed, and routed
	// :README
	wait()
	return err
}

// The README shows code that compiles and runs: the example's.
func TestReadmeShowsTheExample(t *testing.T) {
	source, err := os.ReadFile("example_readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "// README:\n")
	code, _, _ = strings.Cut(code, "\t// :README")
	code = strings.ReplaceAll("\n"+code, "\n\t", "\n")
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go"+code+"```\n") {
		t.Errorf("README.md does not show this code:\n%s", code)
	}
}
