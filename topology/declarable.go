package topology

import (
	"slices"

	"github.com/warren-mq/warren/internal/rabbitmq"
)

// Declarable returns a copy of t without what a broker makes by itself and lists
// among the rest: the default exchange with its bindings, the
// predeclared exchanges, and queues under names that the broker chose, with their
// bindings. What is left can be declared, and written to a file.
func (t Topology) Declarable() Topology {
	c := t.Clone()
	c.Exchanges = slices.DeleteFunc(c.Exchanges, func(e Exchange) bool { return e.Name == "" || rabbitmq.Reserved(e.Name) })
	c.Queues = slices.DeleteFunc(c.Queues, func(q Queue) bool { return rabbitmq.Reserved(q.Name) })
	c.Bindings = slices.DeleteFunc(c.Bindings, func(b Binding) bool {
		return b.Source == "" || !b.ToExchange && rabbitmq.Reserved(b.Destination)
	})
	return c
}
