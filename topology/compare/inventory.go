package compare

import (
	"fmt"

	"github.com/warren-mq/warren/internal/rabbitmq"
	"github.com/warren-mq/warren/topology"
)

// compareWith compares with everything that the broker has.
func compareWith(want, have topology.Topology) *Comparison {
	c := &Comparison{}
	exchanges, queues, bindings := map[string]topology.Exchange{}, map[string]topology.Queue{}, map[string]bool{}
	for _, e := range have.Exchanges {
		exchanges[e.Name] = e
	}
	for _, q := range have.Queues {
		queues[q.Name] = q
	}
	for _, b := range have.Bindings {
		bindings[identity(b)] = true
	}
	for _, e := range want.Exchanges {
		there, ok := exchanges[e.Name]
		c.compared(e, ok, func() []topology.Difference { return e.Differences(there) })
	}
	for _, q := range want.Queues {
		there, ok := queues[q.Name]
		c.compared(q, ok && q.Name != "", func() []topology.Difference { return q.Differences(there) })
	}
	for _, b := range want.Bindings {
		c.compared(b, bindings[identity(b)], func() []topology.Difference { return nil })
	}
	c.Extra = extra(want, have)
	return c
}

func (c *Comparison) compared(entity topology.Entity, exists bool, differences func() []topology.Difference) {
	change := Change{Entity: entity, Action: ActionCreate}
	if exists {
		change.Action = ActionAdopt
		if change.Differences = differences(); len(change.Differences) > 0 {
			change.Action = ActionDiffers
		}
	}
	c.Changes = append(c.Changes, change)
}

// identity tells bindings apart that an inventory shows apart. RabbitMQ keeps two
// that differ in the width of a number, but routes the same by both.
func identity(b topology.Binding) string {
	return fmt.Sprintf("%q %q %v %q %s", b.Source, b.Destination, b.ToExchange, b.RoutingKey, rabbitmq.Listed(rabbitmq.OnWire(b.Arguments)))
}

// extra returns what is there and not wanted.
func extra(want, have topology.Topology) topology.Topology {
	wanted := map[string]bool{}
	for _, e := range want.Exchanges {
		wanted[e.String()] = true
	}
	for _, q := range want.Queues {
		wanted[q.String()] = true
	}
	for _, b := range want.Bindings {
		wanted[identity(b)] = true
	}
	var t topology.Topology
	for _, e := range have.Exchanges {
		if !wanted[e.String()] && e.Name != "" && !rabbitmq.Reserved(e.Name) {
			t.Exchanges = append(t.Exchanges, e)
		}
	}
	exclusive := map[string]bool{}
	for _, q := range have.Queues {
		exclusive[q.Name] = q.Exclusive
		if !wanted[q.String()] && !q.Exclusive {
			t.Queues = append(t.Queues, q)
		}
	}
	for _, b := range have.Bindings {
		if !wanted[identity(b)] && b.Source != "" && (b.ToExchange || !exclusive[b.Destination]) && !reservedOnly(b) {
			t.Bindings = append(t.Bindings, b)
		}
	}
	return t
}

// reservedOnly reports whether both ends are the broker's own.
func reservedOnly(b topology.Binding) bool {
	return b.ToExchange && rabbitmq.Reserved(b.Source) && rabbitmq.Reserved(b.Destination)
}
