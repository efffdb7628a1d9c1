package brokertest

import (
	"slices"

	"github.com/warren-mq/warren/brokertest/internal/state"
)

// kill ends connections, the socket first: see conn.die. It returns how many it was. Caller holds mu.
func (b *Broker) kill(which func(*conn) bool, how func(*Link)) (n int) {
	for _, c := range slices.Clone(b.conns) {
		if which(c) {
			how(c.nc)
			c.die()
			n++
		}
	}
	b.settle()
	return n
}

func every(*conn) bool { return true }

// Cut resets all connections, as when a network fails: clients see an error at once, and what was not yet
// handed to the network is lost. New connections are accepted. It returns how many it was.
func (b *Broker) Cut() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kill(every, (*Link).reset)
}

// CloseConnections closes all connections by connection.close with a code and text, such as 320 and
// "CONNECTION_FORCED - shutdown". It returns how many it was.
func (b *Broker) CloseConnections(code uint16, text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, c := range slices.Clone(b.conns) {
		if c.phase == phaseRunning {
			c.close(&state.Refusal{Code: code, Text: text}, 0)
			n++
		}
	}
	b.settle()
	b.wake()
	return n
}

// CloseChannels closes all channels by channel.close with a code and text, such as 406 and
// "PRECONDITION_FAILED - no reason". It returns how many it was.
func (b *Broker) CloseChannels(code uint16, text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, c := range b.conns {
		for _, ch := range c.sortedChannels() {
			if ch.opened && !ch.closing {
				ch.close(&state.Refusal{Code: code, Text: text}, 0)
				n++
			}
		}
	}
	b.settle()
	b.wake()
	return n
}

// CancelConsumer cancels the consumers with the tag, as RabbitMQ does when their queue goes: they are
// removed, and clients that understand it are told by basic.cancel. It returns how many it was.
func (b *Broker) CancelConsumer(tag string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, c := range b.conns {
		for _, ch := range c.sortedChannels() {
			if consumer := ch.consumers[tag]; consumer != nil {
				consumer.Cancel()
				ch.Cancel(consumer)
				n++
			}
		}
	}
	b.settle()
	b.wake()
	return n
}

// DeleteQueue deletes a queue of the virtual host "/", see [VHost.DeleteQueue].
func (b *Broker) DeleteQueue(name string) bool { return b.VHost("/").DeleteQueue(name) }

// Restart stops the broker and starts it again, under the same address: connections are reset, and what is
// not durable is gone, as are transient messages and whatever clients had not settled goes back to its
// queue. With [Forget] everything is gone; with [Shutdown] clients are told first.
func (b *Broker) Restart(how ...RestartOption) {
	b.Stop(how...)
	b.Start()
}

// RestartOption says how a broker stops, see [Broker.Restart].
type RestartOption int

// How a broker stops.
const (
	Forget   RestartOption = iota // all state is lost, as with a new disk
	Shutdown                      // connections are closed with code 320, and not reset; clients have 10 s to answer
)

// Stop stops the broker, as [Broker.Restart] does, and leaves it so: connections are refused.
func (b *Broker) Stop(how ...RestartOption) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse() // first, as clients dial again at once
	if slices.Contains(how, Shutdown) {
		for _, c := range b.conns {
			if c.phase == phaseRunning {
				c.close(state.Refuse(state.ConnectionForced, "broker forced connection closure with reason 'shutdown'"), 0)
			}
		}
	}
	b.kill(func(c *conn) bool { return c.phase != phaseClosing }, (*Link).reset)
	for _, name := range b.config.vhosts {
		if slices.Contains(how, Forget) {
			b.vhosts[name] = b.newVHost(name)
		} else {
			b.vhosts[name].Restart()
		}
	}
	b.settle()
	b.wake()
}

// Start starts a broker that was stopped, or ends [Broker.RefuseConnections].
func (b *Broker) Start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.down = false
	if b.addr != "" && b.listener == nil {
		if err := b.listen(b.addr); err != nil {
			panic("brokertest: the broker's port was taken while it was stopped: " + err.Error())
		}
	}
}

// RefuseConnections has the broker refuse new connections until [Broker.Start]; those that are open stay.
func (b *Broker) RefuseConnections() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse()
}

// refuse closes the listener. Caller holds mu.
func (b *Broker) refuse() {
	b.down = true
	if b.listener != nil {
		_ = b.listener.Close()
		b.listener = nil
	}
}
