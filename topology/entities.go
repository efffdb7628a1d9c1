package topology

import (
	"fmt"
	"iter"

	"github.com/warren-mq/warren/core"
)

// Table holds arguments; see core/wire for the Go types it takes.
type Table = core.Table

// Exchange types of AMQP 0.9.1. Others, from plugins, are given by name.
const (
	Direct  = "direct"
	Fanout  = "fanout"
	Topic   = "topic"
	Headers = "headers"
)

// Exchange is an exchange to declare. The zero value of every flag is the
// usual choice: durable, not auto-deleted, open to publishers.
type Exchange struct {
	Name       string
	Type       string // default Direct
	Transient  bool   // gone when the broker restarts
	AutoDelete bool   // gone with its last binding
	Internal   bool   // fed by other exchanges only
	Arguments  Table
	NoReplay   bool // declared once: not brought back after a loss
}

// Queue types of RabbitMQ, for [Queue.Type].
const (
	Classic = "classic"
	Quorum  = "quorum"
	Stream  = "stream"
)

// Queue is a queue to declare. The zero value of every flag is the usual
// choice: durable, shared, kept.
type Queue struct {
	Name       string // "": the broker chooses; the name changes when it is declared again
	Type       string // x-queue-type; "": the vhost's default
	Transient  bool   // gone when the broker restarts; RabbitMQ 4.3 can refuse it unless exclusive
	Exclusive  bool   // for one connection, and gone with it
	AutoDelete bool   // gone with its last consumer
	Arguments  Table
	NoReplay   bool // declared once: not brought back after a loss, nor its bindings
}

// Binding routes messages from an exchange to a queue, or to another exchange.
type Binding struct {
	Source      string
	Destination string
	ToExchange  bool // Destination is an exchange
	RoutingKey  string
	Arguments   Table
	NoReplay    bool // made once: not brought back after a loss
}

// Entity is an [Exchange], a [Queue] or a [Binding].
type Entity interface {
	fmt.Stringer // its name for logs
	entity()     // no other type is one
}

func (Exchange) entity() {}
func (Queue) entity()    {}
func (Binding) entity()  {}

// Topology is a set of entities. They are declared in this order: exchanges,
// queues, bindings, and within each in the order given.
type Topology struct {
	Exchanges []Exchange
	Queues    []Queue
	Bindings  []Binding
}

// Entities yields exchanges, queues and bindings, in the order in which they are declared.
func (t Topology) Entities() iter.Seq[Entity] {
	return func(yield func(Entity) bool) {
		for _, e := range t.Exchanges {
			if !yield(e) {
				return
			}
		}
		for _, q := range t.Queues {
			if !yield(q) {
				return
			}
		}
		for _, b := range t.Bindings {
			if !yield(b) {
				return
			}
		}
	}
}

// Clone returns a deep copy.
func (t Topology) Clone() Topology {
	var c Topology
	for _, e := range t.Exchanges {
		e.Arguments = e.Arguments.Clone()
		c.Exchanges = append(c.Exchanges, e)
	}
	for _, q := range t.Queues {
		q.Arguments = q.Arguments.Clone()
		c.Queues = append(c.Queues, q)
	}
	for _, b := range t.Bindings {
		b.Arguments = b.Arguments.Clone()
		c.Bindings = append(c.Bindings, b)
	}
	return c
}

// String names the exchange for logs: `exchange "orders"`.
func (e Exchange) String() string { return fmt.Sprintf("exchange %q", e.Name) }

// String names the queue for logs.
func (q Queue) String() string {
	if q.Name == "" {
		return "server-named queue"
	}
	return fmt.Sprintf("queue %q", q.Name)
}

// String names the binding for logs.
func (b Binding) String() string {
	kind := "queue"
	if b.ToExchange {
		kind = "exchange"
	}
	return fmt.Sprintf("binding of %s %q to %q with key %q", kind, b.Destination, b.Source, b.RoutingKey)
}

// Declare returns the method that declares the exchange.
func (e Exchange) Declare() *core.ExchangeDeclare {
	kind := e.Type
	if kind == "" {
		kind = Direct
	}
	return &core.ExchangeDeclare{
		Exchange: e.Name, Type: kind, Durable: !e.Transient, AutoDelete: e.AutoDelete, Internal: e.Internal, Arguments: e.Arguments,
	}
}

// Declare returns the method that declares the queue.
func (q Queue) Declare() *core.QueueDeclare {
	args := q.Arguments
	if q.Type != "" {
		if args = args.Clone(); args == nil {
			args = Table{}
		}
		args["x-queue-type"] = q.Type
	}
	return &core.QueueDeclare{
		Queue: q.Name, Durable: !q.Transient, Exclusive: q.Exclusive, AutoDelete: q.AutoDelete, Arguments: args,
	}
}

// Bind returns the method that makes the binding: an
// [*core.ExchangeBind] or a [*core.QueueBind].
func (b Binding) Bind() core.Method {
	if b.ToExchange {
		return &core.ExchangeBind{Destination: b.Destination, Source: b.Source, RoutingKey: b.RoutingKey, Arguments: b.Arguments}
	}
	return &core.QueueBind{Queue: b.Destination, Exchange: b.Source, RoutingKey: b.RoutingKey, Arguments: b.Arguments}
}

// Unbind returns the method that removes the binding: an
// [*core.ExchangeUnbind] or a [*core.QueueUnbind].
func (b Binding) Unbind() core.Method {
	if b.ToExchange {
		return &core.ExchangeUnbind{Destination: b.Destination, Source: b.Source, RoutingKey: b.RoutingKey, Arguments: b.Arguments}
	}
	return &core.QueueUnbind{Queue: b.Destination, Exchange: b.Source, RoutingKey: b.RoutingKey, Arguments: b.Arguments}
}
