package ledger

import (
	"cmp"
	"slices"

	"github.com/warren-mq/warren/core/wire"
)

// simBroker is the model of a broker. Its exchange copies each message with a routing
// key of "all" to every bound queue, and returns the others.
type simBroker struct {
	sim     *sim
	queues  []*simQueue
	conns   []*simConn
	refuses bool // nacks what it gets
}

type simQueue struct {
	name      string
	bound     bool
	stored    []*simCopy // in the order of their numbers
	last      int        // number of the newest copy
	consumers []*simConsumer
}

type simCopy struct {
	number      int
	body        []byte
	redelivered bool
}

// simChannel is the broker's side of a channel.
type simChannel struct {
	conn      *simConn
	id        uint16
	published uint64
	open      []uint64        // publishes not confirmed yet, ascending
	done      map[uint64]bool // those of them that may be
	prefetch  int
	delivered uint64
	unacked   map[uint64]*simDelivery
	consumers map[string]*simConsumer
	closed    bool
}

type simDelivery struct {
	tag      uint64
	copy     *simCopy
	consumer *simConsumer
}

type simConsumer struct {
	tag         string
	queue       *simQueue
	channel     *simChannel
	prefetch    int
	outstanding int
	zombie      bool // cancelled, and the client has not answered
}

func (b *simBroker) accept(c *simConn) {
	b.conns = append(b.conns, c)
	channels := map[uint16]*simChannel{}
	c.receive[toBroker] = func(p packet) { b.handle(c, channels, p) }
	c.lost[toBroker] = func() {
		for _, ch := range channels {
			b.end(ch)
		}
		b.conns = slices.DeleteFunc(b.conns, func(other *simConn) bool { return other == c })
	}
}

func (b *simBroker) handle(c *simConn, channels map[uint16]*simChannel, p packet) {
	if _, ok := p.method.(*wire.ChannelOpen); ok {
		channels[p.channel] = &simChannel{conn: c, id: p.channel, done: map[uint64]bool{}, unacked: map[uint64]*simDelivery{}, consumers: map[string]*simConsumer{}}
		return
	}
	ch := channels[p.channel]
	if ch.closed {
		return
	}
	switch m := p.method.(type) {
	case *wire.QueueBind:
		b.queue(m.Queue).bound = true
	case *wire.BasicPublish:
		b.publish(ch, m, p.body)
	case *wire.BasicQos:
		ch.prefetch = int(m.PrefetchCount)
	case *wire.BasicConsume:
		consumer := &simConsumer{tag: m.ConsumerTag, queue: b.queue(m.Queue), channel: ch, prefetch: ch.prefetch}
		ch.consumers[m.ConsumerTag] = consumer
		consumer.queue.consumers = append(consumer.queue.consumers, consumer)
		ch.send(&wire.BasicConsumeOk{ConsumerTag: m.ConsumerTag}, nil)
	case *wire.BasicCancel:
		b.remove(ch.consumers[m.ConsumerTag])
		ch.send(&wire.BasicCancelOk{ConsumerTag: m.ConsumerTag}, nil)
	case *wire.BasicAck:
		b.settle(ch, m.DeliveryTag, m.Multiple, false)
	case *wire.BasicNack:
		b.settle(ch, m.DeliveryTag, m.Multiple, true)
	}
	b.dispatch()
}

func (ch *simChannel) send(m wire.Method, body []byte) {
	ch.conn.send(toClient, packet{ch.id, m, body})
}

func (b *simBroker) queue(name string) *simQueue {
	return b.queues[slices.IndexFunc(b.queues, func(q *simQueue) bool { return q.name == name })]
}

func (b *simBroker) publish(ch *simChannel, m *wire.BasicPublish, body []byte) {
	ch.published++
	tag := ch.published
	if b.refuses && b.sim.chance(2) {
		ch.send(&wire.BasicNack{DeliveryTag: tag}, nil)
		return
	}
	if m.RoutingKey != "all" {
		ch.send(&wire.BasicReturn{ReplyCode: 312, RoutingKey: m.RoutingKey}, body)
	} else {
		for _, q := range b.queues {
			if q.bound {
				q.last++
				q.stored = append(q.stored, &simCopy{number: q.last, body: body})
			}
		}
	}
	ch.open = append(ch.open, tag)
	b.sim.after(b.sim.upTo(3*ms), func() {
		ch.done[tag] = true
		b.sim.after(b.sim.upTo(2*ms), func() { b.confirm(ch) })
	})
}

// confirm acknowledges what is done, at once as far as nothing is missing.
func (b *simBroker) confirm(ch *simChannel) {
	prefix := 0
	for prefix < len(ch.open) && ch.done[ch.open[prefix]] {
		prefix++
	}
	if prefix > 0 {
		ch.send(&wire.BasicAck{DeliveryTag: ch.open[prefix-1], Multiple: prefix > 1 || b.sim.chance(2)}, nil)
	}
	ch.open = slices.Delete(ch.open, 0, prefix)
	ch.open = slices.DeleteFunc(ch.open, func(tag uint64) bool {
		if ch.done[tag] && b.sim.chance(2) {
			ch.send(&wire.BasicAck{DeliveryTag: tag}, nil)
			return true
		}
		return false
	})
}

// settle takes an ack or a nack with requeue. What it does not know it ignores: the
// checker is to see it, not the model.
func (b *simBroker) settle(ch *simChannel, tag uint64, multiple, requeue bool) {
	for t, d := range ch.unacked {
		if t == tag || multiple && t < tag {
			delete(ch.unacked, t)
			d.consumer.outstanding--
			if requeue {
				d.consumer.queue.requeue(d.copy)
			}
		}
	}
}

func (q *simQueue) requeue(c *simCopy) {
	c.redelivered = true
	i, _ := slices.BinarySearchFunc(q.stored, c, func(a, b *simCopy) int { return cmp.Compare(a.number, b.number) })
	q.stored = slices.Insert(q.stored, i, c)
}

// dispatch delivers what consumers have room for.
func (b *simBroker) dispatch() {
	for _, q := range b.queues {
		for len(q.stored) > 0 {
			i := slices.IndexFunc(q.consumers, func(c *simConsumer) bool {
				return (c.prefetch == 0 || c.outstanding < c.prefetch) && (!c.zombie || b.sim.chance(20))
			})
			if i < 0 {
				break
			}
			c, taken := q.consumers[i], q.stored[0]
			q.stored = q.stored[1:]
			q.consumers = append(slices.Delete(q.consumers, i, i+1), c)
			c.channel.deliver(c, taken)
		}
	}
}

func (ch *simChannel) deliver(c *simConsumer, taken *simCopy) {
	ch.delivered++
	c.outstanding++
	ch.unacked[ch.delivered] = &simDelivery{ch.delivered, taken, c}
	ch.send(&wire.BasicDeliver{ConsumerTag: c.tag, DeliveryTag: ch.delivered, Redelivered: taken.redelivered, RoutingKey: "all"}, taken.body)
}

func (b *simBroker) remove(c *simConsumer) {
	if c != nil {
		c.queue.consumers = slices.DeleteFunc(c.queue.consumers, func(other *simConsumer) bool { return other == c })
		delete(c.channel.consumers, c.tag)
	}
}

// end requeues what a channel has not settled.
func (b *simBroker) end(ch *simChannel) {
	if ch.closed {
		return
	}
	ch.closed = true
	for _, c := range ch.consumers {
		b.remove(c)
	}
	for _, d := range ch.unacked {
		d.consumer.queue.requeue(d.copy)
	}
	b.dispatch()
}

// cancel ends a consumer as RabbitMQ does over an ack timeout: it takes back what the
// consumer holds, and keeps the consumer until the client answers.
func (b *simBroker) cancel(c *simConsumer) {
	c.zombie = true
	for t, d := range c.channel.unacked {
		if d.consumer == c {
			delete(c.channel.unacked, t)
			c.outstanding--
			c.queue.requeue(d.copy)
		}
	}
	c.channel.send(&wire.BasicCancel{ConsumerTag: c.tag, NoWait: true}, nil)
	b.dispatch()
}

// restart breaks all connections and forgets the bindings.
func (b *simBroker) restart() {
	for _, c := range slices.Clone(b.conns) {
		c.cut()
	}
	for _, q := range b.queues {
		q.bound = false
	}
}

// left returns how many messages are stored or unsettled.
func (b *simBroker) left() (n int) {
	for _, q := range b.queues {
		n += len(q.stored)
		for _, c := range q.consumers {
			n += c.outstanding
		}
	}
	return n
}
