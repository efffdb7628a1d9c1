package ledger

import (
	"slices"

	"github.com/warren-mq/warren/core/wire"
)

// clientMethod notes a method from the client, except those that begin a content.
func (c *Conn) clientMethod(ch *channel, id wire.MethodID, payload []byte) {
	switch id {
	case wire.MethodBasicPublish:
		var m wire.BasicPublish
		if c.decoder.Publish(payload, &m) == nil {
			r := Record{Kind: WirePub, Node: route(m.Exchange, m.RoutingKey)}
			if m.Mandatory {
				r.Flags = Mandatory
			}
			ch.content[toBroker].begin(r)
		}
		return
	case wire.MethodBasicAck:
		c.ack(ch, WireSettle, payload)
		return
	}
	m, err := c.decoder.Method(payload)
	if err != nil {
		return
	}
	switch m := m.(type) {
	case *wire.ChannelClose:
		c.end(ch, m.ReplyCode, 0)
	case *wire.ConfirmSelect:
		ch.confirms = true
		c.add(Record{Kind: ConfirmSelect, Epoch: ch.epoch})
	case *wire.BasicQos:
		c.add(Record{Kind: Qos, Epoch: ch.epoch, Tag: uint64(m.PrefetchCount)})
	case *wire.BasicConsume:
		ch.consume(c, m)
	case *wire.BasicCancel:
		ch.cancel(c, m.ConsumerTag, 0)
	case *wire.BasicNack:
		c.settle(ch, WireSettle, m.DeliveryTag, m.Multiple, refusal(m.Requeue))
	case *wire.BasicReject:
		c.settle(ch, WireSettle, m.DeliveryTag, false, refusal(m.Requeue))
	}
}

// brokerMethod notes a method from the broker, except those that begin a content.
func (c *Conn) brokerMethod(ch *channel, id wire.MethodID, payload []byte) {
	switch id {
	case wire.MethodBasicDeliver:
		var m wire.BasicDeliver
		if c.decoder.Deliver(payload, &m) == nil {
			ch.content[toClient].begin(ch.delivery(&m))
		}
		return
	case wire.MethodBasicAck:
		c.ack(ch, Confirm, payload)
		return
	}
	m, err := c.decoder.Method(payload)
	if err != nil {
		return
	}
	switch m := m.(type) {
	case *wire.ChannelClose:
		c.end(ch, m.ReplyCode, ByServer)
	case *wire.BasicNack:
		c.settle(ch, Confirm, m.DeliveryTag, m.Multiple, Negative)
	case *wire.BasicReturn:
		ch.content[toClient].begin(Record{Kind: WireReturn, Tag: uint64(m.ReplyCode)})
	case *wire.BasicGetOk:
		r := ch.delivery(&wire.BasicDeliver{Redelivered: m.Redelivered, Exchange: m.Exchange, RoutingKey: m.RoutingKey})
		r.Tag = pack(m.DeliveryTag, gotten)
		ch.content[toClient].begin(r)
	case *wire.BasicConsumeOk:
		ch.consumeOK(c, m.ConsumerTag)
	case *wire.BasicCancel:
		ch.cancel(c, m.ConsumerTag, ByServer)
	}
}

// ack notes a basic.ack, of either side.
func (c *Conn) ack(ch *channel, kind Kind, payload []byte) {
	var m wire.BasicAck
	if c.decoder.Ack(payload, &m) == nil {
		c.settle(ch, kind, m.DeliveryTag, m.Multiple, 0)
	}
}

func (c *Conn) settle(ch *channel, kind Kind, tag uint64, multiple bool, flags Flags) {
	if multiple {
		flags |= Multiple
	}
	c.add(Record{Kind: kind, Epoch: ch.epoch, Tag: tag, Flags: flags})
}

func refusal(requeue bool) Flags {
	if requeue {
		return Negative | Requeue
	}
	return Negative
}

// route is what tells one exchange and routing key from another, nearly always: 32 bits
// of FNV-1a, folded, and never 0.
func route(exchange, key string) uint16 {
	sum := uint32(2166136261)
	for _, s := range [...]string{exchange, "\x00", key} {
		for i := range len(s) {
			sum = (sum ^ uint32(s[i])) * 16777619
		}
	}
	return max(uint16(sum^sum>>16), 1)
}

func (ch *channel) consume(c *Conn, m *wire.BasicConsume) {
	asked := consumer{tag: m.ConsumerTag, queue: c.ledger.queue(m.Queue), noAck: m.NoAck}
	ch.asked = append(ch.asked, asked)
	if m.NoWait {
		ch.consumeOK(c, m.ConsumerTag)
	}
}

// consumeOK begins the consumer with that tag: the one that asked for it, or, where
// the broker chose it, the oldest one that asked for none.
func (ch *channel) consumeOK(c *Conn, tag string) {
	asks := func(tag string) int {
		return slices.IndexFunc(ch.asked, func(asked consumer) bool { return asked.tag == tag })
	}
	i := asks(tag)
	if i < 0 {
		i = asks("")
	}
	if i < 0 {
		return
	}
	begun := ch.asked[i]
	ch.asked = slices.Delete(ch.asked, i, i+1)
	n := uint16(len(ch.consumers) + 1)
	ch.tags[tag], ch.consumers[n] = n, begun
	r := Record{Kind: Consume, Epoch: ch.epoch, Tag: uint64(n), Node: begun.queue}
	if begun.noAck {
		r.Flags = NoAck
	}
	c.add(r)
}

func (ch *channel) cancel(c *Conn, tag string, flags Flags) {
	c.add(Record{Kind: Cancel, Epoch: ch.epoch, Tag: uint64(ch.tags[tag]), Flags: flags})
}

// gotten stands for the consumer of what basic.get brought.
const gotten = 1<<16 - 1

// delivery begins the record of a delivery; consumer 0 is one that the client does not know.
func (ch *channel) delivery(m *wire.BasicDeliver) Record {
	n := ch.tags[m.ConsumerTag]
	r := Record{Kind: WireDeliver, Tag: pack(m.DeliveryTag, n), Node: route(m.Exchange, m.RoutingKey)}
	if m.Redelivered {
		r.Flags = Redelivered
	}
	if ch.consumers[n].noAck {
		r.Flags |= NoAck
	}
	return r
}
