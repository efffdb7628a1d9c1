package topology

import (
	"slices"
	"strings"
)

// predeclared returns an exchange that a virtual host has from the start: it can be
// declared as it is, which does nothing. Those of logs and events are there where
// the broker has them turned on; elsewhere RabbitMQ refuses their names.
func predeclared(name string) (Exchange, bool) {
	switch name {
	case "amq.direct", "amq.fanout", "amq.topic", "amq.headers":
		return Exchange{Name: name, Kind: strings.TrimPrefix(name, "amq.")}, true
	case "amq.match":
		return Exchange{Name: name, Kind: Headers}, true
	case "amq.rabbitmq.trace", "amq.rabbitmq.log", "amq.rabbitmq.event":
		return Exchange{Name: name, Kind: Topic, Internal: true}, true
	}
	return Exchange{}, false
}

func isPredeclared(exchange string) bool {
	_, ok := predeclared(exchange)
	return ok
}

func reserved(name string) bool { return strings.HasPrefix(name, "amq.") }

// Declarable returns a copy of t without what a broker makes by itself and lists
// among the rest, see [Inventory]: the default exchange with its bindings, the
// predeclared exchanges, and queues under names that the broker chose, with their
// bindings. What is left can be declared, and written to a file.
func (t Topology) Declarable() Topology {
	c := t.Clone()
	c.Exchanges = slices.DeleteFunc(c.Exchanges, func(e Exchange) bool { return e.Name == "" || reserved(e.Name) })
	c.Queues = slices.DeleteFunc(c.Queues, func(q Queue) bool { return reserved(q.Name) })
	c.Bindings = slices.DeleteFunc(c.Bindings, func(b Binding) bool {
		return b.Source == "" || !b.ToExchange && reserved(b.Destination)
	})
	return c
}
