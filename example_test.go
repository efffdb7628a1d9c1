package warren_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/compare"
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

// What a deployment would change, and what it changed.
func ExampleClient_Apply() {
	broker := brokertest.NewBroker()
	defer broker.Close()
	ctx := context.Background()
	client, err := warren.Dial(ctx, broker.URL(), warren.WithRecordMode(topology.RecordModeTransient))
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close(ctx) }()

	wanted := warren.Topology{
		Exchanges: []warren.Exchange{{Name: "orders"}},
		Queues:    []warren.Queue{{Name: "orders.eu"}},
		Bindings:  []warren.Binding{{Source: "orders", Destination: "orders.eu", RoutingKey: "eu"}},
	}
	plan, _ := client.Compare(ctx, wanted)
	fmt.Print(plan)
	_, _ = client.Apply(ctx, wanted)
	plan, _ = client.Compare(ctx, wanted)
	fmt.Println("settled:", plan.Settled())
	// Output:
	// + create  exchange "orders"
	// + create  queue "orders.eu"
	// + create  binding of queue "orders.eu" to "orders" with key "eu"
	// 3 to create, 0 to adopt, 0 to make sure of, 0 differ, 0 refused, 0 extra
	// settled: true
}

// How a topology stands to a broker that has some of it, some of it otherwise.
func ExampleClient_Compare() {
	broker := brokertest.NewBroker()
	defer broker.Close()
	ctx := context.Background()
	client, err := warren.Dial(ctx, broker.URL())
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close(ctx) }()

	queue := func(limit int64) warren.Queue {
		return warren.Queue{Name: "orders.eu", Type: topology.Quorum}.With(topology.DeliveryLimit(limit), topology.DeadLetter("dead"))
	}
	before := warren.Topology{
		Exchanges: []warren.Exchange{{Name: "orders", Type: topology.Topic}},
		Queues:    []warren.Queue{queue(3)},
	}
	if _, err := client.Declare(ctx, before); err != nil {
		panic(err)
	}

	orders := warren.Topology{
		Exchanges: []warren.Exchange{{Name: "orders", Type: topology.Topic}, {Name: "dead", Type: topology.Fanout}},
		Queues:    []warren.Queue{queue(5)},
		Bindings:  []warren.Binding{{Source: "orders", Destination: "orders.eu", RoutingKey: "eu.#"}},
	}
	plan, err := client.Compare(ctx, orders, compare.Probe())
	fmt.Print(plan)
	if err != nil {
		panic(err)
	}
	// Output:
	// = adopt   exchange "orders"
	// + create  exchange "dead"
	// ~ differs queue "orders.eu": x-delivery-limit is 3, want 5
	// ? ensure  binding of queue "orders.eu" to "orders" with key "eu.#"
	// 1 to create, 1 to adopt, 1 to make sure of, 1 differ, 0 refused, 0 extra
}
