package brokertest

import "github.com/warren-mq/warren/core/wire"

// Block has the broker accept no publishes, as RabbitMQ does when it is short of memory or disk: from its
// next publish on nothing that a connection sends is read, and it is told why, if it has said that it
// understands. Reasons of RabbitMQ are "low on memory" and "low on disk".
func (b *Broker) Block(reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.blocked == "" {
		b.unblocked = make(chan struct{})
	}
	b.blocked = reason
}

// Unblock ends [Broker.Block].
func (b *Broker) Unblock() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.blocked == "" {
		return
	}
	b.blocked = ""
	close(b.unblocked)
	for _, c := range b.conns {
		c.publishes = false
		if c.told {
			c.told = false
			c.send(0, &wire.ConnectionUnblocked{})
		}
	}
	b.wake()
}

// published notes that the connection publishes. Caller holds Broker.mu.
func (c *conn) published() {
	if c.b.blocked == "" || c.publishes {
		return
	}
	c.publishes = true
	if c.can("connection.blocked") {
		c.told = true
		c.send(0, &wire.ConnectionBlocked{Reason: c.b.blocked})
	}
}

// throttled returns nil if the connection is to be read from, otherwise what to wait for. Caller holds
// Broker.mu. One that the broker closes is read from, for the answer.
func (c *conn) throttled() <-chan struct{} {
	if c.b.blocked == "" || !c.publishes || c.phase != phaseRunning {
		return nil
	}
	return c.b.unblocked
}
