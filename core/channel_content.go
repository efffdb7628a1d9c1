package core

import (
	"fmt"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// onContent handles a complete content.
func (ch *Channel) onContent(complete bool, err error, in *inbound) error {
	if err != nil {
		if e := AsError(err); e.ClosedChannel() {
			e.Channel = ch.id
			return ch.giveUp(in, e)
		}
		return err
	}
	if !complete {
		return nil
	}
	if ch.in.method == wire.MethodBasicDeliver {
		return ch.onDelivery(in)
	}
	props, body := ch.in.take()
	switch ch.in.method {
	case wire.MethodBasicGetOk:
		m := ch.in.getOk
		ch.in.getOk = nil
		d := &Delivery{
			Exchange: m.Exchange, RoutingKey: m.RoutingKey, Tag: m.DeliveryTag, Redelivered: m.Redelivered,
			MessageCount: m.MessageCount, Body: body, props: props, ch: ch,
		}
		if ok, err := ch.nextTag(in, d.Tag); !ok {
			return err
		}
		ch.acks.delivered.Store(d.Tag)
		return ch.onReply(m, d)
	default:
		m := ch.in.returned
		ch.in.returned = nil
		r := &Return{Code: Code(m.ReplyCode), Text: m.ReplyText, Exchange: m.Exchange, RoutingKey: m.RoutingKey, props: props}
		if !ch.in.skipped {
			r.Body = body
		}
		ch.onReturned(r, ch.in.size, body)
		return nil
	}
}

func (ch *Channel) onDelivery(in *inbound) error {
	m := &ch.in.deliver
	c := ch.receiver()
	switch {
	case c == nil && ch.gaveUp(m.ConsumerTag): // what it was sent is settled, and is lost
		_ = ch.in.takeDelivery()
		ch.conn.dropped.Add(1)
		return nil
	case c == nil || !c.replies:
		if ok, err := ch.nextTag(in, m.DeliveryTag); !ok {
			return err
		}
	}
	d := ch.in.takeDelivery()
	d.Exchange, d.RoutingKey, d.ConsumerTag = m.Exchange, m.RoutingKey, m.ConsumerTag
	d.Tag, d.Redelivered = m.DeliveryTag, m.Redelivered
	d.ch, d.consumer = ch, c
	if c == nil {
		ch.acks.delivered.Store(d.Tag)
		return ch.requeueStray(d)
	}
	if c.noAck {
		d.settled.Store(true)
	}
	if ch.in.skipped {
		return ch.onTooLarge(in, d)
	}
	return in.stage(c, d)
}

// receiver returns the consumer of the delivery that is coming in, nil if there is none.
func (ch *Channel) receiver() *Consumer {
	tag := ch.in.deliver.ConsumerTag
	if c := ch.in.last; c == nil || c.tag != tag || c.over.Load() {
		ch.in.last = ch.consumer(tag)
	}
	return ch.in.last
}

// maySkip reports whether the content that is coming in is of use without its
// body: a return is, a delivery that its consumer would have without, and one
// that is put back in any case.
func (ch *Channel) maySkip() bool {
	switch ch.in.method {
	case wire.MethodBasicReturn:
		return true
	case wire.MethodBasicDeliver:
		c := ch.receiver()
		return c == nil || c.tooLarge != nil
	}
	return false
}

// onTooLarge gives a delivery without its body to the consumer's function, in its turn.
func (ch *Channel) onTooLarge(in *inbound, d *Delivery) error {
	if err := in.handOver(); err != nil {
		return err
	}
	ch.acks.delivered.Store(ch.in.tag)
	d.Body, d.came = nil, time.Since(in.born)
	if f := d.consumer.tooLarge; f != nil { // else it took the place of another under the tag, in this instant
		f(d, ch.in.size)
	}
	return ch.conn.out.countAnswer(nackSize) // it may have been settled
}

// requeueStray puts a delivery back that belongs to no consumer, or to one
// that was just cancelled.
func (ch *Channel) requeueStray(d *Delivery) error {
	d.consumer = nil
	ch.conn.strays.Add(1)
	if d.Nack(true) != nil {
		return nil // the channel died, which requeues it too
	}
	return ch.conn.out.countAnswer(nackSize)
}

// nackSize is what a basic.nack takes on the wire.
const nackSize = wire.FrameOverhead + 4 + 8 + 1

// overflow cancels a consumer that is not read fast enough. What the broker
// sends before it knows is still kept, up to a second, harder bound.
func (ch *Channel) overflow(c *Consumer, d *Delivery) error {
	if !c.inbox.force(d) {
		ch.condemn(because(ErrOverflow, fmt.Errorf("consumer %q was sent far more than it buffers", c.tag)))
		return nil
	}
	if c.overflowed.Swap(true) {
		return nil
	}
	return ch.answer(&wire.BasicCancel{ConsumerTag: c.tag})
}

// nextTag checks that delivery tags grow, as the specification says. With
// false the channel was given up. Those of direct replies are not looked at:
// before RabbitMQ 4.2 they all have the one that the next delivery gets too.
func (ch *Channel) nextTag(in *inbound, tag uint64) (ok bool, err error) {
	if tag <= ch.in.tag {
		return false, ch.giveUp(in, &Error{
			Code: ErrCommandInvalid, Text: fmt.Sprintf("delivery tag %d after %d", tag, ch.in.tag), Scope: ScopeChannel, Channel: ch.id,
		})
	}
	ch.in.tag = tag
	return true, nil
}

// giveUp is condemn for the reader: what came before is handed over before.
func (ch *Channel) giveUp(in *inbound, cause error) error {
	err := in.handOver()
	ch.condemn(cause)
	return err
}
