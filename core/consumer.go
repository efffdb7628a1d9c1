package core

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/warren-mq/warren/core/wire"
)

// Consumer is one basic.consume on one channel. It ends with its channel, by
// [Consumer.Cancel], or when the server cancels it, and never comes back.
// All methods are safe for concurrent use; several goroutines may receive.
type Consumer struct {
	tag        string // written before the consumer is handed out
	noAck      bool
	replies    bool // to direct reply-to
	ch         *Channel
	inbox      *inbox
	bounded    bool                           // by MaxBuffered
	joined     bool                           // the inbox is that of another one, see Into
	kept       bool                           // its deliveries are not used again
	shares     bool                           // bounded by the channel's prefetch; guarded by its lock
	overflowed atomic.Bool                    // it was cancelled because its buffer was full
	revoked    atomic.Bool                    // the server took it away: its deliveries are stale
	over       atomic.Bool                    // err is set
	tooLarge   func(d *Delivery, size uint64) // nil: such a delivery ends the channel
	done       chan struct{}
	err        error // why it ended; written before done is closed

	staged []*Delivery // the reader's own
}

// Tag returns the consumer tag.
func (c *Consumer) Tag() string { return c.tag }

// Channel returns the channel it lives on.
func (c *Consumer) Channel() *Channel { return c.ch }

// Done is closed when no further delivery will come from the server. After a
// cancel, what had arrived before can still be received.
func (c *Consumer) Done() <-chan struct{} { return c.done }

// Err returns nil before Done, then why the consumer ended: [ErrClosed] for
// Cancel, [ErrCancelled], [ErrOverflow], or the error of the channel.
func (c *Consumer) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Receive returns the next delivery. It waits for one until ctx ends, and
// returns the cause once the consumer has ended and nothing usable is left:
// deliveries of a dead channel, or of a consumer that the server cancelled,
// are dropped, as are those from before a [Channel.Recover], since the broker
// delivers them again; with automatic ack it
// does not, and they are returned first.
func (c *Consumer) Receive(ctx context.Context) (*Delivery, error) {
	for {
		d, err := c.inbox.receive(ctx)
		if d == nil || !d.requeued() {
			return d, err
		}
	}
}

// TryReceive returns the next delivery if there is one, and (nil, nil) if not.
func (c *Consumer) TryReceive() (*Delivery, error) {
	for {
		d, err := c.inbox.tryReceive()
		if d == nil || !d.requeued() {
			return d, err
		}
	}
}

// All yields deliveries until the consumer or ctx ends; the last pair has a
// nil delivery and the reason. Breaking out of the loop does not cancel it.
func (c *Consumer) All(ctx context.Context) iter.Seq2[*Delivery, error] {
	return func(yield func(*Delivery, error) bool) {
		for {
			d, err := c.Receive(ctx)
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// Cancel tells the broker to send no more and waits for its answer. Messages
// that are already here can still be received and settled; the broker does
// not requeue them by itself (specification, basic.cancel). Cancelling a
// consumer that has ended does nothing and returns nil.
func (c *Consumer) Cancel(ctx context.Context) error {
	if c.over.Load() {
		return nil
	}
	_, err := call[*wire.BasicCancelOk](ctx, c.ch, &wire.BasicCancel{ConsumerTag: c.tag})
	return err
}

// end marks the consumer as ended, with err or, if nil, with its own reason.
// Deliveries held are dropped unless the application may still settle them, or
// nobody would deliver them again.
// It is called once, by the code that removed the consumer from its channel.
func (c *Consumer) end(err error, drop bool) {
	switch {
	case err != nil:
	case c.overflowed.Load():
		err = ErrOverflow
	default:
		err = ErrClosed
	}
	if errors.Is(err, ErrCancelled) {
		c.revoked.Store(true)
	}
	c.err = err
	c.over.Store(true)
	if !c.noAck {
		c.ch.acks.takes.Add(-1) // all that it was sent is here
	}
	if !c.joined {
		c.inbox.close(err, drop && !c.noAck)
	}
	close(c.done)
}

// ConsumeOption changes how [Channel.Consume] buffers deliveries.
type ConsumeOption func(*Consumer)

// MaxBuffered bounds the deliveries, and the sum of their bytes, that wait to
// be received; 0 is no bound of that kind. Each counts its body, its encoded
// properties, and 256 bytes for itself. The default is [DefaultConsumerBytes]
// for automatic ack and where no prefetch is in force; with a prefetch the
// broker keeps the bound itself. RabbitMQ before 4.0 does not for streams: it
// sends what was stored together, up to 8,192 messages more. Where a queue is known to be a
// stream, consumers that survive losses allow for that; here it takes a count.
//
// When a bound is met the consumer is cancelled: what has arrived can still be
// received, with what the broker sends before it knows, and then it ends with
// [ErrOverflow]. The rest stays in the queue. At four times the bound the
// channel is closed.
func MaxBuffered(count, bytes int) ConsumeOption {
	return func(c *Consumer) { c.bounded, c.inbox.maxCount, c.inbox.maxBytes = true, count, bytes }
}

// KeepDeliveries has [Delivery.Release] do nothing, where a delivery is given to code that must not
// release it because it is settled afterwards.
func KeepDeliveries() ConsumeOption { return func(c *Consumer) { c.kept = true } }

// Into has what comes for the new consumer received from other, which lives on the same
// channel and needs acks as well: a consumer's prefetch cannot be changed, but that of
// another one adds to it. When other has ended, what still comes for the new one is
// not received any more, so cancel that first.
func Into(other *Consumer) ConsumeOption {
	return func(c *Consumer) { c.joined, c.inbox = true, other.inbox }
}

// OnTooLarge has each delivery whose body is larger than [Config].MaxBody given to
// f instead of the receivers: without its body, which is skipped as it arrives
// and never held, but with its size. Without this option such a delivery ends the
// channel with [ErrContentTooLarge], comes again, and ends the next one.
//
// f may settle it: Reject(false) dead-letters it. Unless it does, the delivery
// stays with the channel, and counts towards the prefetch, until that ends. f
// runs on the reader goroutine and must not block.
func OnTooLarge(f func(d *Delivery, size uint64)) ConsumeOption {
	return func(c *Consumer) { c.tooLarge = f }
}

// DefaultConsumerBytes bounds a consumer without prefetch, counted as in
// [MaxBuffered]: about 240,000 small deliveries.
const DefaultConsumerBytes = 64 << 20
