package core

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Delivery is a message brought to a consumer, or fetched by [Channel.Get].
// It belongs to the physical channel that brought it: when that channel is
// gone, settling it writes nothing and returns [ErrStale].
//
// Settling is safe for concurrent use; the first call wins, later ones return
// [ErrSettled]; after a rollback it can be settled once more. Body and what the
// property methods return are the receiver's to keep, unless it calls
// [Delivery.Release].
type Delivery struct {
	Exchange     string
	RoutingKey   string
	ConsumerTag  string // empty for Get
	Tag          uint64 // unique on its channel, but for direct replies before RabbitMQ 4.2
	Redelivered  bool   // false: the broker is sure that it was never delivered before
	MessageCount uint32 // messages left in the queue, for Get only
	Body         []byte

	props    []byte        // encoded properties, checked by the decoder
	came     time.Duration // when, in the connection's life; not of Get
	ch       *Channel
	consumer *Consumer // nil for Get
	settled  atomic.Bool
}

// Properties decodes the message's properties, again at each call.
func (d *Delivery) Properties() Properties {
	p, _ := wire.DecodeProperties(d.props) // checked when it arrived
	return p
}

// Header returns one header without decoding the others.
func (d *Delivery) Header(key string) (value any, ok bool) {
	return wire.LookupHeader(d.props, key)
}

// MessageID returns the message-id property, "" if absent.
func (d *Delivery) MessageID() string {
	v, _ := wire.LookupProperty(d.props, wire.PropertyMessageID)
	return string(v)
}

// Ack tells the broker that the message was processed. It returns as soon as
// the ack is queued; a nil error means that it is written next unless the
// channel dies first, in which case the broker delivers the message again.
//
// Errors: [ErrStale], [ErrSettled] (also for automatic-ack deliveries).
func (d *Delivery) Ack() error {
	if err := d.settle(); err != nil {
		return err
	}
	return d.ch.ack(d.Tag)
}

// Nack refuses the message: requeue puts it back into its queue, else it is
// dead-lettered or dropped. Errors as for [Delivery.Ack].
func (d *Delivery) Nack(requeue bool) error {
	if err := d.settle(); err != nil {
		return err
	}
	return d.ch.Nack(d.Tag, false, requeue)
}

// Reject is [Delivery.Nack] in the words of plain AMQP.
func (d *Delivery) Reject(requeue bool) error {
	if err := d.settle(); err != nil {
		return err
	}
	return d.ch.Reject(d.Tag, requeue)
}

// AckAll acks the message, and every one before it on its channel that is not
// settled yet. Errors as for [Delivery.Ack]; [ErrSettled] if there is none.
func (d *Delivery) AckAll() error { return d.settleAll(wire.MethodBasicAck, false) }

// NackAll is [Delivery.Nack] for the message and every one before it on its
// channel that is not settled yet.
func (d *Delivery) NackAll(requeue bool) error { return d.settleAll(wire.MethodBasicNack, requeue) }

func (d *Delivery) settleAll(id wire.MethodID, requeue bool) error {
	// One that is settled may have others before it, on a channel that knows.
	if err := d.settle(); err != nil && (!errors.Is(err, ErrSettled) || !d.ch.acks.knows()) {
		return err
	}
	return d.ch.settle(settlement{method: id, tag: d.Tag, multiple: true, requeue: requeue})
}

// Age returns for how long it has been here, waiting for its receiver and with
// it; 0 for one fetched by [Channel.Get].
func (d *Delivery) Age() time.Duration {
	if d.consumer == nil {
		return 0
	}
	return time.Since(d.ch.conn.in.born) - d.came
}

// Channel returns the channel that brought it.
func (d *Delivery) Channel() *Channel { return d.ch }

// Settled reports whether it was acked, nacked or rejected by one of its methods,
// or never needed it: an automatic-ack delivery. What [Channel.Ack] settles by
// number is not seen here, nor what AckAll and NackAll settle of others, nor what
// a rollback undoes.
func (d *Delivery) Settled() bool { return d.settled.Load() }

// SettledHere reports whether the delivery with tag was settled on this channel, by whichever method. known is
// false where the channel does not follow that: with consumers with automatic ack or transactions.
func (ch *Channel) SettledHere(tag uint64) (settled, known bool) { return ch.acks.settledHere(tag) }

// Stale returns nil while the delivery can be settled, else why not.
func (d *Delivery) Stale() error {
	if d.ch == nil {
		return errNoChannel
	}
	if d.consumer != nil && d.consumer.revoked.Load() {
		return because(ErrStale, ErrCancelled)
	}
	if err := d.ch.Err(); err != nil {
		return because(ErrStale, err)
	}
	if d.requeued() {
		return errRecovered
	}
	return nil
}

var errNoChannel = errors.New("amqp: delivery of no channel: it was not received from a consumer or get")

func (d *Delivery) settle() error {
	if d.ch == nil {
		return errNoChannel
	}
	if d.consumer != nil && d.consumer.revoked.Load() {
		return because(ErrStale, ErrCancelled)
	}
	if d.ch.dead.Load() {
		return because(ErrStale, d.ch.Err())
	}
	if d.requeued() {
		return errRecovered
	}
	if !d.settled.CompareAndSwap(false, true) && !d.ch.acks.reopened(d.Tag) {
		return ErrSettled
	}
	return nil
}

// Return is a mandatory message that no queue took.
type Return struct {
	Code       Code // ErrNoRoute, or ErrNoConsumers
	Text       string
	Exchange   string
	RoutingKey string
	Body       []byte // nil if it is larger than [Config].MaxBody
	props      []byte
	tagged     bool // sent with a header of ours
}

// Properties decodes the message's properties, again at each call: those that it
// was published with, without [TagHeader].
func (r *Return) Properties() Properties {
	p, _ := wire.DecodeProperties(r.props) // checked when it arrived
	if r.tagged {
		if delete(p.Headers, TagHeader); len(p.Headers) == 0 {
			p.Headers = nil
		}
	}
	return p
}
