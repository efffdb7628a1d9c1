package brokertest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/warren-mq/warren/brokertest/internal/state"
)

// timeoutText is RabbitMQ's reason to close a channel that lets a delivery wait for too long.
const timeoutText = "delivery acknowledgement on channel %d timed out. Timeout value used: %d ms. " +
	"This timeout value can be configured, see consumers doc guide to learn more"

// before43 reports whether the broker behaves as a RabbitMQ before 4.3. Those close a channel over a delivery
// that times out, whatever the queue; RabbitMQ 4.3 cancels the consumer, in quorum queues only.
func (c *config) before43() bool { return c.release.before(4, 3) }

// before42 reports whether the broker's direct replies have the delivery tag that comes next, all of them.
func (c *config) before42() bool { return c.release.before(4, 2) }

// before40 reports whether the broker behaves as a RabbitMQ 3.
func (c *config) before40() bool { return c.release.before(4, 0) }

// release is the part of a version that the broker goes by. It is asked about with every message.
type release struct{ major, minor int }

// releaseOf reads a version. One that is none is the newest.
func releaseOf(version string) (r release) {
	if _, err := fmt.Sscanf(version, "%d.%d", &r.major, &r.minor); err != nil {
		return release{major: math.MaxInt}
	}
	return r
}

func (r release) before(major, minor int) bool {
	return r.major < major || r.major == major && r.minor < minor
}

// deadline returns until when a delivery is to be settled, the zero time for never. Caller holds Broker.mu.
func (ch *channel) deadline(q *state.Queue, consumer *state.Consumer) time.Time {
	b := ch.c.b
	if q.Kind == "stream" || q.Kind == "classic" && !b.before43() {
		return time.Time{}
	}
	timeout := q.ConsumerTimeout(consumer)
	if timeout == 0 {
		timeout = b.consumerTimeout
	}
	if timeout == 0 {
		return time.Time{}
	}
	at := time.Now().Add(timeout)
	if b.timeoutAt.IsZero() || at.Before(b.timeoutAt) {
		b.timeoutAt = at
	}
	return at
}

// timeOut deals with deliveries that have timed out. Caller holds mu.
func (b *Broker) timeOut() {
	now := time.Now()
	if b.timeoutAt.IsZero() || now.Before(b.timeoutAt) {
		return
	}
	b.timeoutAt = time.Time{}
	for _, c := range slices.Clone(b.conns) {
		for _, ch := range c.sortedChannels() {
			ch.timeOut(now)
		}
	}
}

// timeOut deals with the deliveries of a channel, and notes when the next one times out.
func (ch *channel) timeOut(now time.Time) {
	cancelled := map[*state.Consumer]bool{}
	for i := ch.unacked.head; i < len(ch.unacked.items); i++ {
		d := &ch.unacked.items[i]
		if d.entry == nil || d.deadline.IsZero() || d.expired {
			continue
		}
		if now.Before(d.deadline) {
			if at := &ch.c.b.timeoutAt; at.IsZero() || d.deadline.Before(*at) {
				*at = d.deadline
			}
			continue
		}
		if ch.closing || !ch.expire(d, cancelled) {
			return
		}
	}
	for _, consumer := range ch.sortedConsumers() {
		if cancelled[consumer] {
			ch.sayCancel(consumer.Tag)
		}
	}
}

// expire takes a delivery back and cancels its consumer. It returns false if it has closed the channel.
func (ch *channel) expire(d *delivery, cancelled map[*state.Consumer]bool) bool {
	b := ch.c.b
	if b.before43() {
		timeout := d.queue.ConsumerTimeout(d.consumer)
		if timeout == 0 {
			timeout = b.consumerTimeout
		}
		ch.close(state.Refuse(state.PreconditionFailed, timeoutText, ch.id, timeout.Milliseconds()), 0)
		return false
	}
	if d.consumer == nil || !ch.c.can("consumer_cancel_notify") {
		ch.unacked.take(d.tag, false, func(d delivery) { d.settle(state.Requeue) }) // the queue has it back already
		ch.close(state.Refuse(state.PreconditionFailed, timeoutText, ch.id, -1), 0)
		return false
	}
	d.expired = true
	cancelled[d.consumer] = true
	d.queue.Expire(d.consumer, d.entry)
	return true
}
