package brokertest

import (
	"strings"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// directReply is a channel's consumer of replies that come without a queue.
type directReply struct {
	tag   string // empty: there is none
	queue string
	old   []string // queues of earlier consumers: what comes there is dropped, and not returned
}

// consumeReplies starts the channel's consumer of amq.rabbitmq.reply-to.
func (ch *channel) consumeReplies(m *wire.BasicConsume) *state.Refusal {
	switch {
	case !m.NoAck:
		return state.Refuse(state.PreconditionFailed, "reply consumer cannot acknowledge")
	case ch.direct.tag != "":
		return state.Refuse(state.PreconditionFailed, "reply consumer already set")
	}
	tag := m.ConsumerTag
	if tag == "" {
		tag = ch.c.b.newName("amq.ctag-")
	}
	var name string
	name = ch.c.vhost.AddReplyQueue(func(m *state.Message) {
		if name == ch.direct.queue {
			ch.deliverReply(m)
		}
	})
	ch.direct.tag, ch.direct.queue = tag, name
	return ch.reply(m.NoWait, &wire.BasicConsumeOk{ConsumerTag: tag})
}

func (ch *channel) deliverReply(m *state.Message) {
	tag := ch.lastTag + 1
	if !ch.c.b.before42() {
		ch.lastTag = tag
	}
	ch.c.sendContent(ch.id, &wire.BasicDeliver{ConsumerTag: ch.direct.tag, DeliveryTag: tag,
		Exchange: m.Exchange, RoutingKey: m.Key}, m.Properties, m.Body)
}

// cancelReplies ends the consumer.
func (ch *channel) cancelReplies() {
	ch.direct = directReply{old: append(ch.direct.old, ch.direct.queue)}
}

// endReplies ends the queues of all consumers.
func (ch *channel) endReplies() {
	for _, name := range append(ch.direct.old, ch.direct.queue) {
		ch.c.vhost.RemoveReplyQueue(name)
	}
	ch.direct = directReply{}
}

// declareReplies answers a declaration of a reply queue, which is always a passive one.
func (ch *channel) declareReplies(m *wire.QueueDeclare) *state.Refusal {
	name := stripped(m.Queue)
	if !ch.c.vhost.HasReplyQueue(name) {
		return ch.c.vhost.NotFound(name)
	}
	ch.queue = name
	return ch.reply(m.NoWait, &wire.QueueDeclareOk{Queue: name, ConsumerCount: 1})
}

func isReplyQueue(name string) bool { return strings.HasPrefix(name, state.DirectReply) }

// replyTo puts the channel's own reply queue in place of the pseudo-queue's name.
func (ch *channel) replyTo(in *incoming) *state.Refusal {
	to, ok := wire.LookupProperty(in.props, wire.PropertyReplyTo)
	if !ok || string(to) != state.DirectReply {
		return nil
	}
	if ch.direct.queue == "" {
		return state.Refuse(state.PreconditionFailed, "fast reply consumer does not exist")
	}
	in.props = state.EditProperties(in.props, func(p *wire.Properties) { p.ReplyTo = ch.direct.queue })
	return nil
}
