package brokertest

import (
	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// lateAnswers are those that RabbitMQ has a channel's queues give, once it has handled what came in together
// with the requests. A channel that is closed before never gives them. Guarded by Broker.mu.
type lateAnswers struct {
	consumers []wire.Method // to consume and cancel
	commit    bool          // of publishes: nothing but a close may come before the answer
}

func (l lateAnswers) empty() bool { return len(l.consumers) == 0 && !l.commit }

// replyLate answers consume or cancel later, unless the client has said not to wait.
func (ch *channel) replyLate(noWait bool, m wire.Method) *state.Refusal {
	if !noWait {
		ch.lag()
		ch.late.consumers = append(ch.late.consumers, m)
	}
	return nil
}

// commitLate answers a commit later.
func (ch *channel) commitLate() *state.Refusal {
	ch.lag()
	ch.late.commit = true
	return nil
}

// lag has the connection know that there are late answers.
func (ch *channel) lag() {
	if ch.late.empty() {
		ch.c.lagging = append(ch.c.lagging, ch)
	}
}

// flushConsumers answers consume and cancel: deliveries come behind that.
func (ch *channel) flushConsumers() {
	answers := ch.late.consumers
	ch.late.consumers = nil
	for _, m := range answers {
		_ = ch.reply(false, m) // which refuses nothing
	}
}

// flushLate gives the late answers of all channels. Caller holds Broker.mu.
func (c *conn) flushLate() {
	for _, ch := range c.lagging {
		ch.flushConsumers()
		if ch.late.commit {
			ch.late.commit = false
			_ = ch.reply(false, &wire.TxCommitOk{})
		}
	}
	c.lagging = c.lagging[:0]
}

// whileCommitting closes the connection over what comes before the answer to a commit, be it an ack or a publish.
func (ch *channel) whileCommitting(id wire.MethodID) bool {
	if !ch.late.commit || id == wire.MethodChannelClose {
		return false
	}
	ch.c.close(state.Refuse(state.ChannelError, "unexpected command while processing 'tx.commit'"), id)
	return true
}
