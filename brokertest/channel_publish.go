package brokertest

import (
	"encoding/binary"
	"fmt"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// incoming is a message that is coming in.
type incoming struct {
	publish wire.BasicPublish
	other   wire.Method // any other method with content, which only a broker may send
	method  bool        // has been seen
	header  bool        // has been seen
	size    uint64      // of the body
	got     uint64      // of it
	props   []byte
	body    []byte
}

func (in *incoming) begin() { in.method = true }

// expected reports whether a content frame has to come next.
func (in *incoming) expected() bool { return in.method || in.other != nil }

// what returns the method.
func (in *incoming) what() wire.Method {
	if in.other != nil {
		return in.other
	}
	return &in.publish
}

// maxBody is where RabbitMQ stops reading.
const maxBody = 512 << 20

// contentFrame takes a header or a part of the body.
func (ch *channel) contentFrame(f wire.Frame) {
	in := &ch.incoming
	fault := func(code uint16, text string) { ch.c.close(state.Refuse(code, "%s", text), in.what().ID()) }
	if !in.header {
		if f.Type != wire.FrameHeader {
			fault(state.UnexpectedFrame, "expected content header for class 60, got non content header frame instead")
			return
		}
		if len(f.Payload) >= 2 && binary.BigEndian.Uint16(f.Payload) != wire.ClassBasic {
			fault(state.UnexpectedFrame, fmt.Sprintf("expected content header for class 60, got one for class %d instead",
				binary.BigEndian.Uint16(f.Payload)))
			return
		}
		h, err := ch.c.in.decoder.Header(f.Payload)
		if err != nil {
			ch.c.badMethod(wire.Frame{})
			return
		}
		if h.BodySize > maxBody {
			ch.c.close(state.Refuse(state.FrameError, "content body size %d exceeds maximum allowed size %d", h.BodySize, maxBody), in.what().ID())
			return
		}
		ch.c.published()
		in.header, in.size = true, h.BodySize
		in.hold(h.Properties)
	} else {
		switch left := in.size - in.got; {
		case f.Type != wire.FrameBody:
			fault(state.UnexpectedFrame, "expected content body, got non content body frame instead")
			return
		case uint64(len(f.Payload)) > left:
			fault(state.FrameError, "content body frame exceeds remaining content size")
			return
		}
		in.got += uint64(len(f.Payload))
		if in.size <= ch.c.b.largestMessage() { // a larger one is refused when it is complete
			in.body = append(in.body, f.Payload...)
		}
	}
	if in.got == in.size {
		ch.complete()
	}
}

// hold copies the properties out of the read buffer, with room for a small body behind them.
func (in *incoming) hold(properties []byte) {
	const small = 64 << 10
	n := len(properties)
	b := make([]byte, n, n+int(min(in.size, small)))
	copy(b, properties)
	in.props, in.body = b[:n:n], b[n:]
}

// complete handles a message that has come in whole.
func (ch *channel) complete() {
	in := ch.incoming
	ch.incoming = incoming{}
	a, ok := ch.c.consult(ch.id, in.what(), &in)
	if !ok || ch.ended() {
		return
	}
	switch {
	case !ch.opened:
		ch.c.close(state.Refuse(state.ChannelError, "expected 'channel.open'"), in.what().ID())
	case in.other != nil:
		ch.finish(state.Refuse(state.CommandInvalid, "unimplemented method"), in.what().ID())
	case ch.whileCommitting(in.what().ID()):
	default:
		ch.finish(ch.publish(&in, a), wire.MethodBasicPublish)
	}
}

// publish checks in RabbitMQ's order.
func (ch *channel) publish(in *incoming, a Action) *state.Refusal {
	m := &in.publish
	if m.Immediate {
		return state.Refuse(state.NotImplemented, "immediate=true")
	}
	if limit := ch.c.b.largestMessage(); in.size > limit {
		return state.Refuse(state.PreconditionFailed, "message size %d is larger than configured max size %d", in.size, limit)
	}
	if r := ch.permit(write, "exchange", m.Exchange); r != nil {
		return r
	}
	x, r := ch.c.vhost.Exchange(m.Exchange)
	if r == nil {
		r = x.CheckPublish()
	}
	if r == nil && ch.c.b.before40() {
		r = ch.c.user.checkTopic(write, ch.c.vhost.Name, x, m.RoutingKey)
	}
	if r == nil {
		r = ch.replyTo(in)
	}
	if r != nil {
		return r
	}
	msg, r := state.NewMessage(m.Exchange, m.RoutingKey, in.props, in.body)
	if r == nil && !ch.c.b.before40() {
		r = ch.checkTopics(x, msg)
	}
	if r == nil {
		r = ch.checkUserID(in.props)
	}
	if r == nil && ch.c.b.before40() {
		r = checkDeliveryMode(in.props)
	}
	if r != nil {
		return r
	}
	p := publication{exchange: x, message: msg, mandatory: m.Mandatory}
	if ch.tx != nil {
		ch.tx.publishes = append(ch.tx.publishes, p)
		return nil
	}
	if a.verdict == nack {
		ch.confirms.settle(ch, nack, 0)
		return nil
	}
	switch out := ch.deliver(p); {
	case out.Unfit:
		return nil
	case out.Rejected:
		a.verdict = nack
	}
	ch.confirms.settle(ch, a.verdict, a.late)
	return nil
}

// publication is a message on its way to an exchange.
type publication struct {
	exchange  *state.Exchange
	message   *state.Message
	mandatory bool
}

// deliver puts a message into its queues, or returns it.
func (ch *channel) deliver(p publication) state.Outcome {
	out := ch.c.vhost.Publish(p.exchange, p.message)
	if out.Unfit {
		ch.c.close(&state.Refusal{Code: state.InternalError, Text: "INTERNAL_ERROR"}, 0)
		return out
	}
	if !out.Routed && p.mandatory {
		ch.c.sendContent(ch.id, &wire.BasicReturn{ReplyCode: state.NoRoute, ReplyText: "NO_ROUTE",
			Exchange: p.message.Exchange, RoutingKey: p.message.Key}, p.message.Properties, p.message.Body)
	}
	return out
}

// checkTopics refuses a message that has a routing key which the user may not publish with, those of CC and BCC
// too: RabbitMQ 3.10 looked at the first alone.
func (ch *channel) checkTopics(x *state.Exchange, m *state.Message) *state.Refusal {
	r := ch.c.user.checkTopic(write, ch.c.vhost.Name, x, m.Key)
	for _, key := range m.MoreKeys {
		r = first(r, ch.c.user.checkTopic(write, ch.c.vhost.Name, x, key))
	}
	return r
}

// checkDeliveryMode refuses one without a meaning: since RabbitMQ 4.0 it is transient.
func checkDeliveryMode(props []byte) *state.Refusal {
	if mode, ok := wire.LookupProperty(props, wire.PropertyDeliveryMode); ok && mode[0] != 1 && mode[0] != 2 {
		return state.Refuse(state.PreconditionFailed, "invalid message: {delivery_mode_unknown,%d}", mode[0])
	}
	return nil
}

func (ch *channel) checkUserID(props []byte) *state.Refusal {
	id, ok := wire.LookupProperty(props, wire.PropertyUserID)
	if !ok || string(id) == ch.c.user.name {
		return nil
	}
	return state.Refuse(state.PreconditionFailed, "user_id property set to '%s' but authenticated user was '%s'", id, ch.c.user.name)
}
