package brokertest

import (
	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// channel is one channel of a connection. Guarded by Broker.mu.
type channel struct {
	c  *conn
	id uint16

	opened   bool
	closing  bool     // has sent channel.close; what comes is ignored
	incoming incoming // the message that is coming in
	queue    string   // the last declared
	prefetch int      // of consumers to come
	shared   int      // of all consumers together, before RabbitMQ 4.3; 0: no limit

	consumers map[string]*state.Consumer
	unacked   unacked
	lastTag   uint64 // of deliveries

	direct directReply

	late     lateAnswers
	confirms confirms
	tx       *transaction
}

func newChannel(c *conn, id uint16) *channel {
	return &channel{c: c, id: id, consumers: map[string]*state.Consumer{}}
}

// frame handles one frame.
func (ch *channel) frame(f wire.Frame) {
	if ch.closing {
		ch.ignore(f)
		return
	}
	if ch.incoming.expected() {
		ch.contentFrame(f)
		return
	}
	if f.Type != wire.FrameMethod {
		ch.c.close(state.Refuse(state.UnexpectedFrame, "expected method frame, got non method frame instead"), 0)
		return
	}
	switch id, _ := wire.PeekMethod(f.Payload); id {
	case wire.MethodBasicPublish:
		if err := ch.c.in.decoder.Publish(f.Payload, &ch.incoming.publish); err != nil {
			ch.c.badMethod(f)
			return
		}
		ch.incoming.begin()
	case wire.MethodBasicAck:
		var m wire.BasicAck
		if err := ch.c.in.decoder.Ack(f.Payload, &m); err != nil {
			ch.c.badMethod(f)
			return
		}
		ch.method(&m)
	default:
		m, err := ch.c.in.decoder.Method(f.Payload)
		if err != nil {
			ch.c.badMethod(f)
			return
		}
		if wire.HasContent(id) {
			ch.incoming.other = m
			return
		}
		ch.method(m)
	}
}

// ignore is what a channel does that waits for close-ok.
func (ch *channel) ignore(f wire.Frame) {
	switch id, _ := wire.PeekMethod(f.Payload); {
	case f.Type != wire.FrameMethod:
	case id == wire.MethodChannelCloseOk:
		ch.release()
		delete(ch.c.channels, ch.id)
	case id == wire.MethodChannelClose:
		ch.send(&wire.ChannelCloseOk{})
	}
}

// method handles a method and what it leads to.
func (ch *channel) method(m wire.Method) {
	if _, ok := ch.c.consult(ch.id, m, nil); !ok || ch.ended() {
		return
	}
	if !ch.opened {
		if _, ok := m.(*wire.ChannelOpen); !ok {
			ch.c.close(state.Refuse(state.ChannelError, "expected 'channel.open'"), m.ID())
			return
		}
	}
	if ch.whileCommitting(m.ID()) {
		return
	}
	ch.finish(ch.do(m), m.ID())
}

// ended reports whether the channel has ended while a hook was asked.
func (ch *channel) ended() bool { return ch.closing || ch.c.channels[ch.id] != ch }

// hasContent reports whether a content header and body follow the method.
func hasContent(m wire.Method) bool { return wire.HasContent(m.ID()) }

// finish has happen what follows from a method, or refuses it.
func (ch *channel) finish(r *state.Refusal, id wire.MethodID) {
	if r != nil {
		ch.refuse(r, id)
	}
	if ch.c.vhost != nil {
		ch.c.vhost.Settle()
	}
}

// refuse closes the channel, or the connection.
func (ch *channel) refuse(r *state.Refusal, id wire.MethodID) {
	if r.Hard() {
		ch.c.close(r, id)
		return
	}
	ch.close(r, id)
}

// close ends the channel with a word to the client.
func (ch *channel) close(r *state.Refusal, id wire.MethodID) {
	if ch.closing {
		return
	}
	ch.abort()
	ch.send(&wire.ChannelClose{ReplyCode: r.Code, ReplyText: r.Text[:min(len(r.Text), 255)], ClassID: id.Class(), MethodID: id.Method()})
	ch.closing = true
}

// abort gives back what classic queues have sent to consumers of the channel. What else it holds, RabbitMQ
// gives back only after close-ok, when the channel's process ends.
func (ch *channel) abort() {
	consumed := map[*state.Queue]bool{}
	for _, consumer := range ch.sortedConsumers() {
		consumed[consumer.Queue] = consumer.Queue.Kind == "classic"
		consumer.Cancel()
	}
	clear(ch.consumers)
	ch.endReplies()
	ch.unacked.takeIf(func(d delivery) bool { return consumed[d.queue] },
		func(d delivery) { d.settle(state.Return) })
	ch.incoming = incoming{}
	ch.late = lateAnswers{}
	ch.confirms = confirms{}
}

// release gives back all that the channel holds. Verdicts that were not sent are lost.
func (ch *channel) release() {
	for _, consumer := range ch.sortedConsumers() {
		consumer.Cancel()
	}
	clear(ch.consumers)
	ch.endReplies()
	ch.unacked.takeAll(func(d delivery) { d.settle(state.Return) })
	if ch.tx != nil {
		ch.tx.abandon()
	}
	ch.incoming = incoming{}
	ch.late = lateAnswers{}
	ch.confirms = confirms{}
}

func (ch *channel) send(m wire.Method) { ch.c.send(ch.id, m) }

// reply answers, unless the client has said not to wait.
func (ch *channel) reply(noWait bool, m wire.Method) *state.Refusal {
	if !noWait {
		ch.flushConfirms()
		ch.send(m)
	}
	return nil
}

// do carries out any method but a publish.
func (ch *channel) do(m wire.Method) *state.Refusal {
	switch m := m.(type) {
	case *wire.ChannelOpen:
		if ch.opened {
			return state.Refuse(state.ChannelError, "second 'channel.open' seen")
		}
		ch.opened = true
		return ch.reply(false, &wire.ChannelOpenOk{})
	case *wire.ChannelClose:
		ch.release()
		delete(ch.c.channels, ch.id)
		return ch.reply(false, &wire.ChannelCloseOk{})
	case *wire.ChannelFlow:
		if !m.Active {
			return state.Refuse(state.NotImplemented, "active=false")
		}
		return ch.reply(false, &wire.ChannelFlowOk{Active: true})
	case *wire.AccessRequest:
		return ch.reply(false, &wire.AccessRequestOk{Ticket: 1})
	case *wire.ExchangeDeclare:
		return ch.exchangeDeclare(m)
	case *wire.ExchangeDelete:
		return ch.exchangeDelete(m)
	case *wire.ExchangeBind:
		return ch.exchangeBind(m)
	case *wire.ExchangeUnbind:
		return ch.exchangeUnbind(m)
	case *wire.QueueDeclare:
		return ch.queueDeclare(m)
	case *wire.QueueBind:
		return ch.queueBind(m)
	case *wire.QueueUnbind:
		return ch.queueUnbind(m)
	case *wire.QueuePurge:
		return ch.queuePurge(m)
	case *wire.QueueDelete:
		return ch.queueDelete(m)
	}
	return ch.doBasic(m)
}

// doBasic carries out the methods about messages.
func (ch *channel) doBasic(m wire.Method) *state.Refusal {
	switch m := m.(type) {
	case *wire.BasicQos:
		return ch.qos(m)
	case *wire.BasicConsume:
		return ch.consume(m)
	case *wire.BasicCancel:
		return ch.cancel(m)
	case *wire.BasicCancelOk:
		return ch.cancelOk(m)
	case *wire.BasicGet:
		return ch.get(m)
	case *wire.BasicAck:
		return ch.settle(m.DeliveryTag, m.Multiple, state.Ack)
	case *wire.BasicNack:
		return ch.settle(m.DeliveryTag, m.Multiple, nackVerdict(m.Requeue))
	case *wire.BasicReject:
		return ch.settle(m.DeliveryTag, false, rejectVerdict(m.Requeue))
	case *wire.BasicRecover:
		return ch.recover(m.Requeue, &wire.BasicRecoverOk{})
	case *wire.BasicRecoverAsync:
		return ch.recover(m.Requeue, nil)
	case *wire.ConfirmSelect:
		return ch.confirmSelect(m)
	case *wire.TxSelect:
		return ch.txSelect()
	case *wire.TxCommit:
		return ch.txCommit()
	case *wire.TxRollback:
		return ch.txRollback()
	}
	return state.Refuse(state.CommandInvalid, "unimplemented method")
}
