package brokertest

import (
	"slices"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// Message is a message that waits in a queue.
type Message struct {
	Exchange, RoutingKey string // to which it was published
	Redelivered          bool
	Properties           wire.Properties
	Body                 []byte
}

// Publish publishes a message in the virtual host "/", see [VHost.Publish].
func (b *Broker) Publish(exchange, key string, p wire.Properties, body []byte) (routed bool, err error) {
	return b.VHost("/").Publish(exchange, key, p, body)
}

// Messages returns what waits in a queue of the virtual host "/", see [VHost.Messages].
func (b *Broker) Messages(queue string) []Message { return b.VHost("/").Messages(queue) }

// Publish publishes a message, as a client would that may do everything, and reports
// whether a queue has taken it. It fails if there is no such exchange, if the exchange is internal, if the
// properties have no form on the wire, or if it comes to a stream and has a decimal among its headers. The body is
// copied.
func (h VHost) Publish(exchange, key string, p wire.Properties, body []byte) (routed bool, err error) {
	properties, err := state.EncodeProperties(&p)
	if err != nil {
		return false, err
	}
	b := h.b
	b.mu.Lock()
	defer b.mu.Unlock()
	v := h.state()
	x, r := v.Exchange(exchange)
	if r == nil {
		r = x.CheckPublish()
	}
	var m *state.Message
	if r == nil {
		m, r = state.NewMessage(exchange, key, properties, slices.Clone(body))
	}
	if r != nil {
		return false, r
	}
	out := v.Publish(x, m)
	if out.Unfit {
		return false, state.Refuse(state.InternalError, "a stream cannot hold a decimal")
	}
	b.settle()
	b.wake()
	return out.Routed && !out.Rejected, nil
}

// Messages returns what waits in a queue, the next one to be delivered first; of a
// stream, what it holds. What consumers have and have not settled is not among it. It is nil if there is no
// such queue.
func (h VHost) Messages(queue string) []Message {
	b := h.b
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Message
	for _, q := range h.state().Queues() {
		if q.Name != queue {
			continue
		}
		for _, e := range q.Waiting() {
			p, _ := wire.DecodeProperties(e.Properties(q, false)) // it has come over the wire
			all = append(all, Message{Exchange: e.Message.Exchange, RoutingKey: e.Message.Key,
				Redelivered: e.Redelivered, Properties: p, Body: slices.Clone(e.Message.Body)})
		}
	}
	return all
}
