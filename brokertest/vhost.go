package brokertest

import "github.com/warren-mq/warren/brokertest/internal/state"

// VHost is a virtual host of a broker, with what an operator does there. The methods of [Broker] of the same names
// are about the virtual host "/".
type VHost struct {
	b    *Broker
	name string
}

// VHost returns a virtual host: "/", or one of [WithVHost]. It panics if there is none of that name.
func (b *Broker) VHost(name string) VHost {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.vhosts[name] == nil {
		panic("brokertest: no virtual host " + name + "; add it by WithVHost")
	}
	return VHost{b, name}
}

// state returns what the virtual host is since the last restart. Caller holds Broker.mu.
func (h VHost) state() *state.VHost { return h.b.vhosts[h.name] }

// Queue returns the queue with the name, false if there is none.
func (h VHost) Queue(name string) (Queue, bool) {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	for _, q := range h.state().Queues() {
		if q.Name == name {
			return queueInfo(q), true
		}
	}
	return Queue{}, false
}

// DeleteQueue deletes a queue, as an operator would: its consumers are cancelled. It reports whether there was one.
func (h VHost) DeleteQueue(name string) bool {
	b := h.b
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range h.state().Queues() {
		if q.Name == name {
			q.Delete()
			b.settle()
			b.wake()
			return true
		}
	}
	return false
}
