package brokertest

import (
	"slices"
	"strings"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

func (ch *channel) qos(m *wire.BasicQos) *state.Refusal {
	if m.PrefetchSize != 0 {
		return state.Refuse(state.NotImplemented, "prefetch_size!=0 (%d)", m.PrefetchSize)
	}
	if m.Global && ch.c.b.before43() {
		ch.shared = int(m.PrefetchCount)
		ch.wakeConsumers()
	} else {
		ch.prefetch = int(m.PrefetchCount) // global or not: RabbitMQ 4.3 knows no other limit
	}
	return ch.reply(false, &wire.BasicQosOk{})
}

// wakeConsumers has the queues look again at consumers that a limit of the channel may have held back.
func (ch *channel) wakeConsumers() {
	for _, consumer := range ch.sortedConsumers() {
		consumer.Wake()
	}
}

func (ch *channel) consume(m *wire.BasicConsume) *state.Refusal {
	if ch.consumers[m.ConsumerTag] != nil {
		return state.Refuse(state.NotAllowed, "attempt to reuse consumer tag '%s'", m.ConsumerTag)
	}
	if m.Queue == state.DirectReply {
		return ch.consumeReplies(m)
	}
	q, r := ch.usedQueue(m.Queue, read)
	if r != nil {
		return r
	}
	tag := m.ConsumerTag
	if tag == "" {
		tag = ch.c.b.newName("amq.ctag-")
	}
	consumer, r := q.Consume(state.ConsumerSpec{Tag: tag, NoAck: m.NoAck, Exclusive: m.Exclusive,
		Prefetch: ch.prefetch, Shared: ch.shared > 0, Arguments: m.Arguments, Owner: ch.c, Sink: ch})
	if r != nil {
		return r
	}
	ch.consumers[tag] = consumer
	return ch.replyLate(m.NoWait, &wire.BasicConsumeOk{ConsumerTag: tag})
}

func (ch *channel) cancel(m *wire.BasicCancel) *state.Refusal {
	if m.ConsumerTag == ch.direct.tag && m.ConsumerTag != "" {
		ch.cancelReplies()
	}
	if consumer := ch.consumers[m.ConsumerTag]; consumer != nil {
		delete(ch.consumers, m.ConsumerTag)
		consumer.Cancel()
		return ch.replyLate(m.NoWait, &wire.BasicCancelOk{ConsumerTag: m.ConsumerTag})
	}
	return ch.reply(m.NoWait, &wire.BasicCancelOk{ConsumerTag: m.ConsumerTag})
}

// cancelOk is right only in answer to the cancel that follows a consumer timeout. Elsewhere RabbitMQ 4.3
// fails over it.
func (ch *channel) cancelOk(m *wire.BasicCancelOk) *state.Refusal {
	consumer := ch.consumers[m.ConsumerTag]
	if ch.c.vhost.Before43 {
		return state.Refuse(state.CommandInvalid, "unimplemented method")
	}
	if consumer == nil {
		ch.c.close(&state.Refusal{Code: state.InternalError, Text: "INTERNAL_ERROR"}, 0)
		return nil
	}
	delete(ch.consumers, m.ConsumerTag)
	consumer.Cancel()
	return nil
}

func (ch *channel) get(m *wire.BasicGet) *state.Refusal {
	q, r := ch.usedQueue(m.Queue, read)
	if r != nil {
		return r
	}
	e, r := q.Get(m.NoAck)
	if r != nil {
		return r
	}
	if e == nil {
		return ch.reply(false, &wire.BasicGetEmpty{})
	}
	ch.flushConfirms()
	ch.lastTag++
	ok := &wire.BasicGetOk{DeliveryTag: ch.lastTag, Redelivered: e.Redelivered, Exchange: e.Message.Exchange,
		RoutingKey: e.Message.Key, MessageCount: uint32(q.Len())}
	ch.c.sendContent(ch.id, ok, e.Properties(q, true), e.Message.Body)
	if !m.NoAck {
		ch.unacked.add(delivery{tag: ch.lastTag, queue: q, entry: e, deadline: ch.deadline(q, nil)})
	}
	return nil
}

// Accepts implements [state.Sink].
func (ch *channel) Accepts(consumer *state.Consumer) bool {
	if ch.shared > 0 && ch.unacked.count >= ch.shared && consumer.Queue.Kind != "stream" { // even with NoAck
		return false
	}
	if len(ch.c.out)+ch.c.writing > backlog {
		ch.c.paused = true
		return false
	}
	return true
}

// Deliver implements [state.Sink].
func (ch *channel) Deliver(consumer *state.Consumer, e *state.Entry) {
	if len(ch.late.consumers) > 0 {
		ch.flushConsumers()
	}
	ch.lastTag++
	if !consumer.NoAck {
		ch.unacked.add(delivery{tag: ch.lastTag, queue: consumer.Queue, entry: e, consumer: consumer,
			deadline: ch.deadline(consumer.Queue, consumer)})
	}
	deliver := wire.BasicDeliver{ConsumerTag: consumer.Tag, DeliveryTag: ch.lastTag, Redelivered: e.Redelivered,
		Exchange: e.Message.Exchange, RoutingKey: e.Message.Key}
	ch.c.out, _ = wire.AppendDeliver(ch.c.out, ch.id, &deliver)
	ch.c.content(ch.id, e.Properties(consumer.Queue, false), e.Message.Body)
	ch.c.touch()
}

// Cancel implements [state.Sink].
func (ch *channel) Cancel(consumer *state.Consumer) {
	delete(ch.consumers, consumer.Tag)
	ch.sayCancel(consumer.Tag)
}

func (ch *channel) sayCancel(tag string) {
	if ch.c.can("consumer_cancel_notify") && !ch.closing {
		ch.flushConsumers()
		ch.send(&wire.BasicCancel{ConsumerTag: tag, NoWait: true})
	}
}

// recheckConsumers cancels consumers that the user may no longer have.
func (ch *channel) recheckConsumers() {
	for _, consumer := range ch.sortedConsumers() {
		if ch.permit(read, "queue", consumer.Queue.Name) != nil {
			consumer.Cancel()
			ch.Cancel(consumer)
		}
	}
}

// sortedConsumers returns the consumers by tag.
func (ch *channel) sortedConsumers() []*state.Consumer {
	var all []*state.Consumer
	for _, consumer := range ch.consumers {
		all = append(all, consumer)
	}
	slices.SortFunc(all, func(a, b *state.Consumer) int { return strings.Compare(a.Tag, b.Tag) })
	return all
}
