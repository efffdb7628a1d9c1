package brokertest

import (
	"cmp"
	"slices"
	"time"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// Queue is what a broker holds of a queue.
type Queue struct {
	VHost, Name                    string
	Type                           string // classic, quorum or stream
	Durable, Exclusive, AutoDelete bool
	Arguments                      wire.Table
	Ready                          int // messages that wait for a consumer; of a stream, that it holds
	Unacked                        int // messages that clients have and have not settled
	Consumers                      int
}

// Exchange is what a broker holds of an exchange.
type Exchange struct {
	VHost, Name, Type             string
	Durable, AutoDelete, Internal bool
	Arguments                     wire.Table
}

// Binding is a binding of a queue, or of an exchange if ToExchange, to an exchange. Bindings of queues to the
// default exchange are not listed.
type Binding struct {
	VHost, Source, Destination, Key string
	ToExchange                      bool
	Arguments                       wire.Table
}

// Consumer is a subscription of a client.
type Consumer struct {
	VHost, Queue, Tag string
	Connection        int // see Connection.ID
	Channel           uint16
	NoAck, Exclusive  bool
	Prefetch          int
	Priority          int
	Active            bool // false: waits for the single active consumer to go
	Unacked           int
}

// Connection is a connection of a client that has completed its handshake.
type Connection struct {
	ID       int // in the order of their opening, from 1
	Name     string
	User     string
	VHost    string
	Opened   time.Time
	Channels int
	Unacked  int
	Blocked  bool // publishes and is not read from
}

// Queues returns all queues, by virtual host, then in the order of their making.
func (b *Broker) Queues() []Queue {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Queue
	for _, v := range b.sortedVHosts() {
		for _, q := range v.Queues() {
			all = append(all, queueInfo(q))
		}
	}
	return all
}

// Queue returns the queue with the name in the virtual host "/", see [VHost.Queue].
func (b *Broker) Queue(name string) (Queue, bool) { return b.VHost("/").Queue(name) }

func queueInfo(q *state.Queue) Queue {
	return Queue{VHost: q.VHost().Name, Name: q.Name, Type: q.Kind, Durable: q.Durable, Exclusive: q.Exclusive,
		AutoDelete: q.AutoDelete, Arguments: q.Arguments.Clone(), Ready: q.Len(), Unacked: q.Unacked(), Consumers: len(q.Consumers())}
}

// Exchanges returns all exchanges, the predefined ones too, by virtual host, then in the order of their
// making.
func (b *Broker) Exchanges() []Exchange {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Exchange
	for _, v := range b.sortedVHosts() {
		for _, x := range v.Exchanges() {
			all = append(all, Exchange{VHost: v.Name, Name: x.Name, Type: x.Type, Durable: x.Durable,
				AutoDelete: x.AutoDelete, Internal: x.Internal, Arguments: x.Arguments.Clone()})
		}
	}
	return all
}

// Bindings returns all bindings, by virtual host and source, then in the order of their making.
func (b *Broker) Bindings() []Binding {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Binding
	for _, v := range b.sortedVHosts() {
		for _, binding := range v.Bindings() {
			all = append(all, Binding{VHost: v.Name, Source: binding.Source.Name, Destination: binding.Destination(),
				Key: binding.Key, ToExchange: binding.Queue == nil, Arguments: binding.Arguments.Clone()})
		}
	}
	return all
}

// Consumers returns all consumers by connection, channel and tag.
func (b *Broker) Consumers() []Consumer {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Consumer
	for _, c := range b.conns {
		for _, ch := range c.sortedChannels() {
			for _, k := range ch.sortedConsumers() {
				all = append(all, Consumer{VHost: c.vhost.Name, Queue: k.Queue.Name, Tag: k.Tag, Connection: c.id, Channel: ch.id,
					NoAck: k.NoAck, Exclusive: k.Exclusive, Prefetch: k.Prefetch, Priority: k.Priority, Active: k.Active(), Unacked: k.Unacked()})
			}
		}
	}
	return all
}

// Connections returns all connections that are open, in the order of their opening.
func (b *Broker) Connections() []Connection {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Connection
	for _, c := range b.conns {
		if c.phase != phaseRunning {
			continue
		}
		info := Connection{ID: c.id, Name: c.name, User: c.user.name, VHost: c.vhost.Name, Opened: c.opened,
			Channels: len(c.channels), Blocked: c.throttled() != nil}
		for _, ch := range c.channels {
			info.Unacked += ch.unacked.count
		}
		all = append(all, info)
	}
	return all
}

// sortedVHosts returns the virtual hosts by name. Caller holds mu.
func (b *Broker) sortedVHosts() []*state.VHost {
	var all []*state.VHost
	for _, v := range b.vhosts {
		all = append(all, v)
	}
	slices.SortFunc(all, func(x, y *state.VHost) int { return cmp.Compare(x.Name, y.Name) })
	return all
}
