package warren_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
)

// One refused entity does not stop the others, and is named.
func ExampleClient_Declare() {
	broker := brokertest.NewBroker()
	defer broker.Close()
	ctx := context.Background()
	client, err := warren.Dial(ctx, broker.URL())
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close(ctx) }()

	report, err := client.Declare(ctx, warren.Topology{
		Queues:   []warren.Queue{{Name: "orders"}},
		Bindings: []warren.Binding{{Source: "no such exchange", Destination: "orders"}},
	})
	fmt.Println(report.Declared, "declared,", len(report.Failed), "failed, not found:", errors.Is(err, core.ErrNotFound))
	// Output: 1 declared, 1 failed, not found: true
}
