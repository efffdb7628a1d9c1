package core

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// assembly is what only the reader goroutine touches of a channel.
type assembly struct {
	assembler
	deliver  wire.BasicDeliver
	getOk    *wire.BasicGetOk
	returned *wire.BasicReturn
	last     *Consumer // the consumer that got the latest delivery
}

// onFrame handles one frame of the channel, on the reader goroutine. An error
// ends the connection.
func (ch *Channel) onFrame(f wire.Frame, in *inbound) error {
	if ch.dead.Load() {
		return ch.afterDeath(f, in)
	}
	if err := ch.in.fits(f.Type); err != nil {
		return err
	}
	switch f.Type {
	case wire.FrameMethod:
		return ch.onMethod(f.Payload, in)
	case wire.FrameHeader:
		h, err := in.dec.Header(f.Payload)
		if err != nil {
			return err
		}
		complete, err := ch.in.header(h)
		return ch.onContent(complete, err, in)
	default:
		complete, err := ch.in.body(f.Payload)
		return ch.onContent(complete, err, in)
	}
}

// afterDeath ignores what the server sent before it knew that the channel is
// gone, and frees the id when it says that it knows.
func (ch *Channel) afterDeath(f wire.Frame, in *inbound) error {
	if f.Type != wire.FrameMethod {
		return nil
	}
	switch id, _ := wire.PeekMethod(f.Payload); id {
	case wire.MethodChannelCloseOk:
		ch.conn.free(ch)
	case wire.MethodChannelClose: // crossed ours, whose answer is still to come
		_ = ch.conn.out.method(ch.id, nil, &wire.ChannelCloseOk{})
	}
	return nil
}

func (ch *Channel) onMethod(payload []byte, in *inbound) error {
	id, _ := wire.PeekMethod(payload)
	switch id { // the hot ones first, without allocation
	case wire.MethodBasicDeliver:
		if err := in.dec.Deliver(payload, &ch.in.deliver); err != nil {
			return err
		}
		ch.in.begin(id)
		return nil
	case wire.MethodBasicAck:
		if err := in.dec.Ack(payload, &in.ack); err != nil {
			return err
		}
		return ch.onConfirm(in, in.ack.DeliveryTag, in.ack.Multiple, Confirmed)
	}
	m, err := in.dec.Method(payload)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *wire.BasicNack: // the requeue bit means nothing here; RabbitMQ sets it
		return ch.onConfirm(in, m.DeliveryTag, m.Multiple, Nacked)
	case *wire.BasicReturn:
		ch.in.returned = m
		ch.in.begin(id)
	case *wire.BasicGetOk:
		ch.in.getOk = m
		ch.in.begin(id)
	case *wire.BasicCancel:
		ch.onServerCancel(m)
	case *wire.ChannelFlow:
		return ch.conn.out.method(ch.id, ch.acks, &wire.ChannelFlowOk{Active: ch.setFlow(m.Active)})
	case *wire.ChannelClose:
		ch.onServerClose(m)
	default:
		return ch.onReply(m, nil)
	}
	return nil
}

func (ch *Channel) onServerClose(m *wire.ChannelClose) {
	cause := &Error{
		Code: Code(m.ReplyCode), Text: m.ReplyText, Scope: ScopeChannel, Server: true,
		Method: failedMethod(m.ClassID, m.MethodID), Channel: ch.id,
	}
	// Whatever is written from now on is ignored by the server, so a publish
	// that still waits to be written counts as not sent.
	sent := ch.conn.out.sent()
	ch.mu.Lock()
	ours := ch.closing
	ch.closing, ch.serverClosed = true, true
	ch.conn.out.abort(ch.id)
	_ = ch.conn.out.method(ch.id, nil, &wire.ChannelCloseOk{}) // fails only on a dead connection
	ch.mu.Unlock()
	ch.die(cause, sent)
	if !ours {
		ch.conn.free(ch)
	}
}

// onReply hands a reply to the RPC that it answers.
func (ch *Channel) onReply(m wire.Method, d *Delivery) error {
	ch.mu.Lock()
	if len(ch.calls) == 0 || !ch.calls[0].takes(m.ID()) {
		ch.mu.Unlock()
		return unexpected(m)
	}
	p := ch.calls[0]
	ch.calls = ch.calls[1:]
	ch.progress = time.Now()
	orphan := p.orphan
	switch m := m.(type) {
	case *wire.BasicConsumeOk:
		if err := ch.addConsumer(p.consumer, m.ConsumerTag); err != nil {
			ch.mu.Unlock()
			return err
		}
	case *wire.BasicCancelOk:
		defer ch.removeConsumer(m.ConsumerTag, nil, false)
	case *wire.ChannelCloseOk:
		defer ch.conn.free(ch)
		defer ch.die(ErrClosed, math.MaxUint64)
	}
	ch.mu.Unlock()
	p.succeed(m, d)
	if orphan {
		ch.discard(m, d)
	}
	return nil
}

// discard undoes what a late reply did that nobody waits for.
func (ch *Channel) discard(m wire.Method, d *Delivery) {
	if d != nil {
		_ = d.Nack(true) // fails only if the channel died, which requeues it too
	}
	if m, ok := m.(*wire.BasicConsumeOk); ok {
		ch.cancelUnwaited(m.ConsumerTag)
		ch.removeConsumer(m.ConsumerTag, ErrClosed, true)
	}
}

// cancelUnwaited sends basic.cancel and leaves the answer to the reader.
func (ch *Channel) cancelUnwaited(tag string) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.err != nil || ch.closing {
		return
	}
	m := &wire.BasicCancel{ConsumerTag: tag}
	if ch.streaming { // the tag is freed when the channel goes
		return
	}
	if ch.conn.out.method(ch.id, ch.acks, m) == nil {
		ch.calls = append(ch.calls, newPending(m.ID()))
	}
}

// onServerCancel ends a consumer that the server cancelled. It is answered
// with a basic.cancel of this side: RabbitMQ 4.3 keeps a consumer whose ack
// timed out until then, and takes a cancel-ok in the ordinary case (queue
// deleted) as a fault of the connection.
func (ch *Channel) onServerCancel(m *wire.BasicCancel) {
	ch.acks.sendSingly() // its deliveries are never acked: no prefix may cover them
	ch.removeConsumer(m.ConsumerTag, because(ErrCancelled, fmt.Errorf("tag %q", m.ConsumerTag)), true)
	ch.cancelUnwaited(m.ConsumerTag)
}

func (ch *Channel) onConfirm(in *inbound, tag uint64, multiple bool, o Outcome) error {
	ch.mu.Lock()
	if ch.mode != modeConfirm {
		ch.mu.Unlock()
		return unexpected(&wire.BasicAck{})
	}
	verdicts, err := ch.confirms.settle(in.verdicts[:0], tag, multiple, o)
	ch.changed.Wake()
	ch.mu.Unlock()
	for _, v := range verdicts {
		v.settler.Settle(v.verdict)
	}
	clear(verdicts)
	in.verdicts = verdicts
	if err != nil {
		return &wire.Error{Code: uint16(ErrCommandInvalid), Where: err.Error()}
	}
	return nil
}

// onContent handles a complete content.
func (ch *Channel) onContent(complete bool, err error, in *inbound) error {
	if err != nil {
		if tooLarge, ok := errors.AsType[*Error](err); ok {
			tooLarge.Channel = ch.id
			ch.condemn(tooLarge)
			return nil
		}
		return err
	}
	if !complete {
		return nil
	}
	props, body := ch.in.take()
	switch ch.in.method {
	case wire.MethodBasicDeliver:
		return ch.onDelivery(props, body)
	case wire.MethodBasicGetOk:
		m := ch.in.getOk
		ch.in.getOk = nil
		d := &Delivery{
			Exchange: m.Exchange, RoutingKey: m.RoutingKey, Tag: m.DeliveryTag, Redelivered: m.Redelivered,
			MessageCount: m.MessageCount, Body: body, props: props, ch: ch,
		}
		if err := ch.nextTag(d.Tag); err != nil {
			return err
		}
		return ch.onReply(m, d)
	default:
		m := ch.in.returned
		ch.in.returned = nil
		ch.onReturned(&Return{
			Code: Code(m.ReplyCode), Text: m.ReplyText, Exchange: m.Exchange, RoutingKey: m.RoutingKey, Body: body, props: props,
		})
		return nil
	}
}

func (ch *Channel) onDelivery(props, body []byte) error {
	m := &ch.in.deliver
	if err := ch.nextTag(m.DeliveryTag); err != nil {
		return err
	}
	c := ch.in.last
	if c == nil || c.tag != m.ConsumerTag || c.over.Load() {
		c = ch.consumer(m.ConsumerTag)
		ch.in.last = c
	}
	d := &Delivery{
		Exchange: m.Exchange, RoutingKey: m.RoutingKey, ConsumerTag: m.ConsumerTag, Tag: m.DeliveryTag,
		Redelivered: m.Redelivered, Body: body, props: props, ch: ch, consumer: c,
	}
	if c == nil { // of a consumer that was just cancelled: back to the queue
		d.consumer = nil
		return ignoreDead(d.Nack(true))
	}
	if c.noAck {
		d.settled.Store(true)
	}
	if err := c.inbox.push(d); errors.Is(err, ErrOverflow) {
		return ch.overflow(c, d)
	}
	return nil
}

// overflow cancels a consumer that is not read fast enough. What the broker
// sends before it knows is still kept, up to a second, harder bound.
func (ch *Channel) overflow(c *Consumer, d *Delivery) error {
	if first := !c.overflowed.Swap(true); first {
		ch.cancelUnwaited(c.tag)
	}
	if !c.inbox.force(d) {
		ch.condemn(because(ErrOverflow, fmt.Errorf("consumer %q was sent far more than it buffers", c.tag)))
	}
	return nil
}

// ignoreDead drops the error of a channel that died meanwhile.
func ignoreDead(error) error { return nil }

// nextTag checks that delivery tags grow, as the specification says.
func (ch *Channel) nextTag(tag uint64) error {
	if tag <= ch.delivered.Load() {
		return &wire.Error{Code: uint16(ErrCommandInvalid), Where: fmt.Sprintf("delivery tag %d after %d", tag, ch.delivered.Load())}
	}
	ch.delivered.Store(tag)
	return nil
}
