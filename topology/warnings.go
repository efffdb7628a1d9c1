package topology

import (
	"maps"
	"slices"

	"github.com/warren-mq/warren/internal/rabbitmq"
)

// Warnings returns what RabbitMQ takes but should not be relied on: what 4.x
// deprecates and some of its releases refuse, what it ignores silently, such as
// an argument that looks misspelt, and quorum queues that drop what their consumers
// fail to handle, unless a policy of the broker says where that goes. It needs no broker:
// see [Topology.Unreachable] for what only a broker tells.
func (t Topology) Warnings() []*Problem {
	var p problems
	for _, e := range t.Exchanges {
		p.entity = e
		p.misspelt(e.Arguments, exchangeArguments)
	}
	for _, q := range t.Queues {
		p.entity = q
		kind, _ := q.Declare().Arguments["x-queue-type"].(string)
		if q.Transient && !q.Exclusive {
			p.add("Transient", "is deprecated for shared queues: RabbitMQ can refuse it by closing the connection; "+
				"keep the queue and let it expire (x-expires), or make it exclusive")
		}
		p.misspelt(q.Arguments, knownQueueArguments())
		for _, key := range slices.Sorted(maps.Keys(q.Arguments)) {
			p.argument(key, q.Arguments[key], kind)
		}
		if q.Arguments["x-dead-letter-strategy"] == "at-least-once" &&
			(q.Arguments["x-overflow"] != RejectPublish || q.Arguments["x-dead-letter-exchange"] == nil) {
			p.add("x-dead-letter-strategy", "is at most once unless there are x-overflow reject-publish and x-dead-letter-exchange")
		}
	}
	for _, q := range t.Queues {
		if limit, drops := q.Drops(); drops {
			p.entity = q
			p.add("x-dead-letter-exchange", "is missing: what consumers fail to handle more than %d times is dropped for good; "+
				"say where it goes (DeadLetter), or that there is no limit (DeliveryLimit(-1))", limit)
		}
	}
	var out []*Problem
	for _, err := range p.list {
		out = append(out, err.(*Problem))
	}
	return out
}

// DefaultDeliveryLimit is the limit of quorum queues that set none, since RabbitMQ 4.0; before, those have none.
const DefaultDeliveryLimit = 20

// Drops reports whether q is declared as a queue that drops messages for good when their
// deliveries have failed more often than limit, see [DeliveryLimit].
func (q Queue) Drops() (limit int64, drops bool) {
	args := q.Declare().Arguments
	limit = DefaultDeliveryLimit
	if n, ok := rabbitmq.Integer(args["x-delivery-limit"]); ok {
		limit = n
	}
	return limit, args["x-queue-type"] == Quorum && limit >= 0 && args["x-dead-letter-exchange"] == nil
}

func (p *problems) argument(key string, value any, kind string) {
	switch key {
	case "x-queue-mode":
		p.add(key, "does nothing any more")
	case "x-queue-version":
		p.add(key, "is not needed: 2 is the only version of RabbitMQ 4.3, which refuses 1")
	case "x-queue-master-locator":
		p.add(key, "makes RabbitMQ 4.3 close the connection: use x-queue-leader-locator")
	case "x-max-in-memory-length", "x-max-in-memory-bytes":
		p.add(key, "does nothing any more")
	case "x-queue-leader-locator":
		if value == "random" || value == "least-leaders" {
			p.add(key, "%v is an old name for balanced", value)
		}
	case "x-overflow":
		if value == RejectPublishDLX && kind == Quorum {
			p.add(key, "%v is taken for drop-head by quorum queues", value)
		}
	case "x-delivery-limit", "x-delayed-retry-min", "x-delayed-retry-max":
		if _, ok := rabbitmq.Integer(value); !ok {
			p.add(key, "is ignored unless it is a whole number, not %T", value)
		}
	case "x-delayed-retry-type":
		if oneOf("disabled", "all", "failed", "returned")(value) != nil {
			p.add(key, "is ignored unless it is disabled, all, failed or returned")
		}
	}
}

func (p *problems) misspelt(args Table, known []string) {
	for _, key := range slices.Sorted(maps.Keys(args)) {
		if meant := misspelt(key, known); meant != "" {
			p.add(key, "is nothing that RabbitMQ knows, and does nothing: %s?", meant)
		}
	}
}
