package state

import (
	"slices"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Sink is where the deliveries of a consumer go. Its methods must not change the state, and not block.
type Sink interface {
	// Accepts reports whether c can take one more message just now. When that changes, the sink's owner calls
	// [Consumer.Wake].
	Accepts(c *Consumer) bool
	// Deliver hands a message over.
	Deliver(c *Consumer, e *Entry)
	// Cancel tells that the queue has ended the consumer.
	Cancel(c *Consumer)
}

// ConsumerSpec is what a client says of a consumer.
type ConsumerSpec struct {
	Tag              string
	NoAck, Exclusive bool
	Prefetch         int  // 0: no limit
	Shared           bool // the channel has a limit of its own, which [Sink] knows
	Arguments        wire.Table
	Owner            any // the connection that asks
	Sink             Sink
}

// Consumer is a subscription to a queue.
type Consumer struct {
	ConsumerSpec
	Queue    *Queue
	Priority int

	serial  uint64
	unacked int
	late    int    // messages that it has let time out; until they are settled it gets no more
	gone    bool   // the queue knows it no longer
	next    uint64 // of a stream: offset of the next message
}

// Consume adds a consumer. Deliveries begin with the next [VHost.Settle].
func (q *Queue) Consume(spec ConsumerSpec) (*Consumer, *Refusal) {
	if r := checkConsumerArguments(spec.Arguments, q.Kind, q.resource()); r != nil {
		return nil, r
	}
	c := &Consumer{ConsumerSpec: spec, Queue: q, Priority: int(number(spec.Arguments, argPriority, 0)), serial: q.vhost.serial()}
	switch q.Kind {
	case kindStream:
		if r := q.startStream(c); r != nil {
			return nil, r
		}
	case kindQuorum:
		if spec.Shared {
			return nil, Refuse(NotImplemented, "%s does not support global qos", q.resource())
		}
		c.Exclusive = false // quorum queues know no exclusive consumers
	default:
		if q.exclusive != nil || spec.Exclusive && (q.singleActive || len(q.consumers) > 0) {
			return nil, Refuse(AccessRefused, "%s in exclusive use", q.resource())
		}
		if spec.Exclusive {
			q.exclusive = c
		}
	}
	q.hadConsumers = true
	q.insert(c)
	if q.singleActive {
		q.elect(c)
	}
	q.vhost.touch(q)
	return c, nil
}

// insert puts c behind the consumers of its priority.
func (q *Queue) insert(c *Consumer) {
	i := len(q.consumers)
	for i > 0 && q.consumers[i-1].Priority < c.Priority {
		i--
	}
	q.consumers = slices.Insert(q.consumers, i, c)
}

// Cancel removes the consumer, and with it an auto-delete queue that has no other. Messages that it has not
// settled stay with the client.
func (c *Consumer) Cancel() {
	q := c.Queue
	if c.gone {
		return
	}
	c.gone = true
	q.consumers = slices.DeleteFunc(q.consumers, func(other *Consumer) bool { return other == c })
	q.lastUsed = q.vhost.Now()
	if q.exclusive == c {
		q.exclusive = nil
	}
	if q.active == c {
		q.active = nil
		q.elect(nil)
	}
	if q.AutoDelete && q.hadConsumers && len(q.consumers) == 0 {
		q.Delete()
		return
	}
	q.vhost.touch(q)
}

// Wake has the queue look at the consumer again, which may have become ready.
func (c *Consumer) Wake() {
	if !c.gone {
		c.Queue.vhost.touch(c.Queue)
	}
}

// Active reports whether the consumer is served: always, but in a queue with a single active consumer.
func (c *Consumer) Active() bool { return !c.Queue.singleActive || c.Queue.active == c }

// Unacked returns how many messages the consumer has not settled.
func (c *Consumer) Unacked() int { return c.unacked }

// quorumPrefetch is how many messages a quorum queue lets a consumer without a limit hold.
const quorumPrefetch = 2000

// ready reports whether the consumer can take one more message.
func (c *Consumer) ready() bool {
	limit := c.Prefetch
	if limit == 0 && c.Queue.Kind == kindQuorum {
		limit = quorumPrefetch
	}
	return c.late == 0 && (limit == 0 || c.NoAck || c.unacked < limit) && c.Sink.Accepts(c)
}

// elect finds the single active consumer. In a quorum queue, since RabbitMQ 4.0, one with a higher priority
// takes over when the active one has nothing left to settle.
func (q *Queue) elect(newcomer *Consumer) {
	if !q.singleActive || q.deleted {
		return
	}
	if q.active == nil {
		for _, c := range q.consumers {
			if c.late == 0 {
				q.active = c
				return
			}
		}
		return
	}
	if q.Kind == kindQuorum && !q.vhost.Before40 && newcomer != nil && newcomer.Priority > q.active.Priority && q.active.unacked == 0 {
		q.active = newcomer
	}
}

// dispatch delivers while there are messages and consumers that take them.
func (q *Queue) dispatch() {
	if len(q.consumers) == 0 || q.ready.len == 0 {
		return
	}
	q.dropExpired()
	q.deliver()
}

// deliver delivers what has not expired.
func (q *Queue) deliver() {
	for q.ready.len > 0 {
		c := q.nextConsumer()
		if c == nil {
			return
		}
		e := q.ready.pop()
		if !c.NoAck {
			c.unacked++
			q.unacked++
		}
		c.Sink.Deliver(c, e)
	}
}

// nextConsumer returns who is served next, and moves it behind the others of its priority.
func (q *Queue) nextConsumer() *Consumer {
	if q.singleActive {
		if c := q.active; c != nil && c.ready() {
			return c
		}
		return nil
	}
	for i, c := range q.consumers {
		if !c.ready() {
			continue
		}
		for ; i+1 < len(q.consumers) && q.consumers[i+1].Priority == c.Priority; i++ {
			q.consumers[i] = q.consumers[i+1]
		}
		q.consumers[i] = c
		return c
	}
	return nil
}

// Get takes one message, nil if there is none. Without noAck it is to be settled.
func (q *Queue) Get(noAck bool) (*Entry, *Refusal) {
	if q.Kind == kindStream {
		return nil, Refuse(NotImplemented, "basic.get not supported by stream queues %s", q.resource())
	}
	if q.singleActive && q.Kind == kindQuorum {
		kind := octetString(kindQuorum) // by mistake, it seems
		if q.vhost.Before43 {
			kind = kindQuorum
		}
		return nil, Refuse(ResourceLocked, "cannot obtain access to locked %s. basic.get operations are not supported by %s queues"+
			" with single active consumer", q.resource(), kind)
	}
	q.lastUsed = q.vhost.Now()
	q.dropExpired()
	e := q.ready.pop()
	if e != nil && !noAck {
		q.unacked++
	}
	q.dropExpired() // what is behind it does not count as left
	q.vhost.touch(q)
	return e, nil
}

// ConsumerTimeout returns how long the queue lets a message stay unacknowledged that it has delivered to c,
// or, if c is nil, by [Queue.Get]; 0 for the broker's default.
func (q *Queue) ConsumerTimeout(c *Consumer) time.Duration {
	if c != nil {
		if d := millis(c.Arguments, argConsumerTimeout, 0); d > 0 {
			return d
		}
	}
	return q.consumerTimeout
}

// Expire takes a message back that c has not settled in time. Nothing more is delivered to c until it has
// settled all that was taken back, see [Consumer.Revive].
func (q *Queue) Expire(c *Consumer, e *Entry) {
	c.late++
	q.Settle(c, e, Requeue)
	if q.active == c && c.unacked == 0 {
		q.active = nil
		q.elect(nil)
	}
}

// Revive notes that a message was settled after [Queue.Expire].
func (c *Consumer) Revive() {
	if c.late--; c.late == 0 && !c.gone {
		if c.Queue.active == nil {
			c.Queue.elect(nil)
		}
		c.Wake()
	}
}
