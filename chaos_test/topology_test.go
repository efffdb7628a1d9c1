package chaos

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/topology"
)

// Names in the topology of a load.
const (
	exchange  = "orders"
	mainQueue = "orders.all"     // what the ledger checks
	ownQueue  = "orders.replies" // exclusive: gone with its connection
	autoQueue = "orders.audit"   // auto-delete: gone with its consumer
)

// loadTopology is declared by a load, with a main queue of that type. It holds one of each kind that comes
// back differently.
func loadTopology(queueType string) warren.Topology {
	return warren.Topology{
		Exchanges: []warren.Exchange{
			{Name: exchange, Type: topology.Topic},
			{Name: "orders.copies", Type: topology.Fanout, AutoDelete: true},
			{Name: "orders.headers", Type: topology.Headers, Transient: true},
		},
		Queues: []warren.Queue{
			{Name: mainQueue, Type: queueType},
			{Name: ownQueue, Exclusive: true, Transient: true},
			{Name: autoQueue, AutoDelete: true},
		},
		Bindings: []warren.Binding{
			{Source: exchange, Destination: mainQueue, RoutingKey: "created.#"},
			{Source: exchange, Destination: mainQueue, RoutingKey: "*.probe"}, // the ledger expects everything there
			{Source: exchange, Destination: ownQueue, RoutingKey: "reply.*"},
			{Source: exchange, Destination: "orders.copies", ToExchange: true, RoutingKey: "audit.#"},
			{Source: "orders.copies", Destination: autoQueue},
			{Source: "orders.headers", Destination: mainQueue, Arguments: warren.Table{"x-match": "any", "kind": "order"}},
		},
	}
}

// resumed is where a consumer of a stream was begun: at another place after each loss.
var resumed = regexp.MustCompile(`\{"x-stream-offset",[^}]*\}`)

// inventory is what the broker holds of a load: exchanges, queues, bindings and consumers with their
// properties, as sorted lines.
func inventory(ctx context.Context, b *broker) (string, error) {
	var lines []string
	for _, list := range [][]string{
		{"list_exchanges", "name", "type", "durable", "auto_delete", "internal", "arguments"},
		{"list_queues", "name", "type", "durable", "auto_delete", "exclusive", "arguments"},
		{"list_bindings", "source_name", "destination_name", "destination_kind", "routing_key", "arguments"},
		{"list_consumers", "queue_name", "consumer_tag", "ack_required", "prefetch_count", "active", "arguments"},
	} {
		out, err := b.Ctl(ctx, append([]string{list[0], "--no-table-headers"}, list[1:]...)...)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, "orders") {
				lines = append(lines, list[0][len("list_"):]+": "+resumed.ReplaceAllString(strings.TrimSpace(line), "offset"))
			}
		}
	}
	channels, err := b.Ctl(ctx, "list_channels", "--no-table-headers", "pid")
	if err != nil {
		return "", err
	}
	lines = append(lines, fmt.Sprintf("channels: %d", len(strings.Fields(channels))))
	slices.Sort(lines)
	return strings.Join(lines, "\n"), nil
}
