package core

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/warren-mq/warren/core/wire"
)

// Qos sets how many unsettled deliveries each consumer started from now on
// may hold; 0 is no limit. With Global RabbitMQ means the whole channel, where
// it still allows that at all. A size limit is refused by RabbitMQ (540).
func (ch *Channel) Qos(ctx context.Context, m BasicQos) error {
	_, err := call[*wire.BasicQosOk](ctx, ch, &m)
	return err
}

// Consume starts a consumer. With NoWait it returns without waiting for the
// broker, and needs a ConsumerTag: a refusal then closes the channel.
//
// Without automatic ack, set a prefetch with [Channel.Qos] first: it is what
// bounds the client's memory and spreads messages over consumers.
func (ch *Channel) Consume(ctx context.Context, m BasicConsume, opts ...ConsumeOption) (*Consumer, error) {
	c, reply, err := ch.StartConsume(ctx, m, opts...)
	if err != nil || reply == nil {
		return c, err
	}
	if _, err := reply.Wait(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// StartConsume is [Channel.Consume] without waiting for the answer, so that
// several can be in flight, as with [Channel.Request]. Use the consumer only
// after [Reply.Wait] has returned a nil error. With NoWait there is no reply.
// If the broker refuses one of several, the answers to those before it may not
// have come, and never do: any that has no answer may be the one.
func (ch *Channel) StartConsume(ctx context.Context, m BasicConsume, opts ...ConsumeOption) (*Consumer, *Reply, error) {
	c := &Consumer{
		tag: m.ConsumerTag, noAck: m.NoAck, replies: m.Queue == directReply,
		ch: ch, inbox: newInbox(0, 0), done: make(chan struct{}),
	}
	for _, opt := range opts {
		opt(c)
	}
	if m.NoWait {
		if err := ch.conn.out.admitControl(ctx, ch.done); err != nil {
			return nil, nil, err
		}
	}
	if err := ch.lockToCall(ctx); err != nil {
		return nil, nil, err
	}
	defer ch.mu.Unlock()
	if err := ch.mayConsumeLocked(&m); err != nil {
		return nil, nil, &ValidationError{Method: m.ID().String(), Err: err}
	}
	if m.Queue == directReplies {
		ch.replies.Store(true)
	}
	ch.boundLocked(c)
	if m.NoAck {
		ch.acks.sendSingly() // tags that are never acked leave gaps
	} else {
		ch.acks.takes.Add(1)
	}
	if err := ch.conn.out.method(ch.id, ch.acks, &m); err != nil {
		return nil, nil, invalid(m.ID(), err)
	}
	if m.NoWait {
		ch.registerLocked(c)
		return c, nil, nil
	}
	p := newPending(&m)
	p.consumer = c
	ch.awaitLocked(&m, p)
	return c, &Reply{ch, p}, nil
}

// directReply is the queue that stands for replies without one: see RabbitMQ, "Direct Reply-to".
const directReply = "amq.rabbitmq.reply-to"

// mayConsumeLocked says what is wrong with m.
func (ch *Channel) mayConsumeLocked(m *BasicConsume) error {
	consumers := len(ch.consumers)
	for range ch.startingLocked() {
		consumers++
	}
	switch limit := ch.conn.cfg.MaxConsumers; {
	case consumers >= limit:
		return fmt.Errorf("%d consumers on one channel, the connection's MaxConsumers: open another channel", limit)
	case m.NoWait && m.ConsumerTag == "":
		return errTagNeeded
	case m.NoWait && ch.consumers[m.ConsumerTag] != nil:
		return errTagTaken
	}
	return nil
}

// startingLocked yields the consumers whose basic.consume is in flight, the latest
// first.
func (ch *Channel) startingLocked() iter.Seq[*Consumer] {
	return func(yield func(*Consumer) bool) {
		for _, p := range slices.Backward(ch.calls) {
			if p.request == wire.MethodBasicConsume && !yield(p.consumer) {
				return
			}
		}
	}
}

// Cancel ends the consumer with this tag. It is [Consumer.Cancel] for those
// who keep tags; NoWait does not wait for the broker's answer.
func (ch *Channel) Cancel(ctx context.Context, m BasicCancel) error {
	if !m.NoWait {
		_, err := call[*wire.BasicCancelOk](ctx, ch, &m)
		return err
	}
	if err := ch.tell(ctx, &m); err != nil {
		return err
	}
	ch.dismiss(m.ConsumerTag, false)
	return nil
}

// addConsumerLocked registers the consumer that the server has just confirmed. The
// reader runs it before the next delivery.
func (ch *Channel) addConsumerLocked(c *Consumer, tag string) error {
	if c == nil || (c.tag != "" && c.tag != tag) || ch.consumers[tag] != nil {
		return unexpected(&wire.BasicConsumeOk{})
	}
	c.tag = tag
	ch.registerLocked(c)
	return nil
}

// registerLocked makes c the consumer of its tag.
func (ch *Channel) registerLocked(c *Consumer) {
	ch.consumers[c.tag] = c
	ch.givenUp = slices.DeleteFunc(ch.givenUp, func(tag string) bool { return tag == c.tag })
}

func (ch *Channel) consumer(tag string) *Consumer {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.consumers[tag]
}

// removeConsumer ends the consumer with this tag. It reports whether there was one.
func (ch *Channel) removeConsumer(tag string, err error, drop bool) bool {
	ch.mu.Lock()
	c := ch.consumers[tag]
	delete(ch.consumers, tag)
	ch.mu.Unlock()
	if c != nil {
		c.end(err, drop)
	}
	return c != nil
}

// remove ends c, which the server has cancelled at this side's wish; nil is none.
func (ch *Channel) remove(c *Consumer) {
	if c == nil {
		return
	}
	ch.mu.Lock()
	mine := ch.consumers[c.tag] == c
	if mine {
		delete(ch.consumers, c.tag)
	}
	ch.mu.Unlock()
	if mine {
		c.end(nil, false)
	}
}

// dismiss ends the consumer with this tag though the server may still deliver to it.
func (ch *Channel) dismiss(tag string, drop bool) {
	ch.mu.Lock()
	if c := ch.consumers[tag]; c != nil && c.noAck {
		ch.noteGivenUpLocked(tag)
	}
	ch.mu.Unlock()
	ch.removeConsumer(tag, ErrClosed, drop)
}

// maxGivenUp bounds the tags remembered of consumers that were given up.
const maxGivenUp = 1000

// noteGivenUpLocked remembers that what still comes for tag is settled.
func (ch *Channel) noteGivenUpLocked(tag string) {
	if len(ch.givenUp) == maxGivenUp {
		ch.givenUp = slices.Delete(ch.givenUp, 0, 1)
	}
	ch.givenUp = append(ch.givenUp, tag)
}

func (ch *Channel) gaveUp(tag string) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return slices.Contains(ch.givenUp, tag)
}

// Get fetches one message, or returns nil if the queue is empty.
func (ch *Channel) Get(ctx context.Context, m BasicGet) (*Delivery, error) {
	if m.NoAck {
		ch.acks.sendSingly()
	}
	r, err := ch.request(ctx, &m)
	if err != nil {
		return nil, err
	}
	if _, err := r.Wait(ctx); err != nil {
		return nil, err
	}
	return r.p.delivery, nil
}

// Recover asks the broker to deliver everything unsettled on this channel
// again. RabbitMQ knows only Requeue: true, and closes the connection over
// anything else (540), so that is refused with a [*ValidationError]. The tags settled so far stay
// settled; the others come back under new tags, and the deliveries received
// before are stale from the moment in which the request is on its way.
func (ch *Channel) Recover(ctx context.Context, m BasicRecover) error {
	if err := requeues(&m, m.Requeue); err != nil {
		return err
	}
	_, err := call[*wire.BasicRecoverOk](ctx, ch, &m)
	return err
}

// RecoverAsync is [Channel.Recover] in its deprecated form without an answer.
// Deliveries that are under way while it is called are requeued as well, and
// nothing tells them from those that come again: the broker closes the channel
// when one is settled. With a consumer at work use Recover.
func (ch *Channel) RecoverAsync(ctx context.Context, m BasicRecoverAsync) error {
	if err := requeues(&m, m.Requeue); err != nil {
		return err
	}
	return ch.tell(ctx, &m)
}

func requeues(m wire.Method, requeue bool) error {
	if requeue {
		return nil
	}
	return &ValidationError{Method: m.ID().String(), Err: errNoRequeue}
}
