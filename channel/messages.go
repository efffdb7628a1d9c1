package channel

import (
	"context"
	"errors"
	"fmt"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/gate"
)

// Publish is [core.Channel.Publish]. While the channel is opened again it
// waits, within ctx. Errors: also [ErrTxLost].
func (ch *Channel) Publish(ctx context.Context, p *core.Publishing) error {
	return ch.publish(ctx, func(physical *core.Channel) error { return physical.Publish(ctx, p) })
}

// PublishTo is [core.Channel.PublishTo]. The verdict belongs to the physical
// channel: when that dies, it is unknown or not sent at once.
func (ch *Channel) PublishTo(ctx context.Context, p *core.Publishing, s core.Settler) error {
	return ch.publish(ctx, func(physical *core.Channel) error { return physical.PublishTo(ctx, p, s) })
}

// PublishConfirm is [core.Channel.PublishConfirm], with a verdict as [Channel.PublishTo].
func (ch *Channel) PublishConfirm(ctx context.Context, p *core.Publishing) (c *core.Confirmation, err error) {
	err = ch.publish(ctx, func(physical *core.Channel) (err error) {
		c, err = physical.PublishConfirm(ctx, p)
		return err
	})
	return c, err
}

// publish runs f on the physical channel. An error that is not about the message
// means that the channel is dead, or dies with its connection, and that nothing
// was sent, or of a large body a part, which the broker drops; so f is run again
// on the next one.
func (ch *Channel) publish(ctx context.Context, f func(*core.Channel) error) error {
	for {
		physical, err := ch.ready(ctx)
		if err != nil {
			return err
		}
		if err := ch.inTx(physical); err != nil {
			return err
		}
		if err = f(physical); err == nil || ctx.Err() != nil || invalid(err) {
			return err
		}
		if gate.Await(ctx, physical.Done()) != nil {
			return err
		}
	}
}

func invalid(err error) bool {
	_, ok := errs.AsType[*core.ValidationError](err)
	return ok || errors.Is(err, core.ErrConfirmMode)
}

// OnReturn is [core.Channel.OnReturn], for every later physical channel too.
func (ch *Channel) OnReturn(f func(*core.Return)) {
	if f == nil {
		ch.onReturn.Store(nil)
		return
	}
	ch.onReturn.Store(&f)
}

// Get is [core.Channel.Get]. The delivery belongs to the physical channel.
func (ch *Channel) Get(ctx context.Context, m core.BasicGet) (d *core.Delivery, err error) {
	asked := m.Queue
	err = ch.call(ctx, &m, func(physical *core.Channel) (err error) {
		if m.Queue, err = ch.queue(asked); err == nil {
			d, err = physical.Get(ctx, m)
		}
		return err
	})
	if r := ch.conn.Recorder(); r != nil && err == nil {
		r.Used(m.Queue)
	}
	return d, err
}

// Ack acks d, and with multiple everything before it on its physical channel.
// It takes the delivery, not its tag: a tag alone could be of a channel that is
// gone, and mean another message on the present one. Errors as for
// [core.Delivery.Ack] and [core.Delivery.AckAll].
func (ch *Channel) Ack(d *core.Delivery, multiple bool) error {
	if !multiple {
		return d.Ack()
	}
	return d.AckAll()
}

// Nack refuses d, and with multiple everything before it, as [Channel.Ack].
func (ch *Channel) Nack(d *core.Delivery, multiple, requeue bool) error {
	if !multiple {
		return d.Nack(requeue)
	}
	return d.NackAll(requeue)
}

// Reject refuses d.
func (ch *Channel) Reject(d *core.Delivery, requeue bool) error { return d.Reject(requeue) }

// Recover is [core.Channel.Recover].
func (ch *Channel) Recover(ctx context.Context, m core.BasicRecover) error {
	return ch.call(ctx, &m, func(physical *core.Channel) error { return physical.Recover(ctx, m) })
}

// RecoverAsync is [core.Channel.RecoverAsync].
func (ch *Channel) RecoverAsync(ctx context.Context, m core.BasicRecoverAsync) error {
	return ch.call(ctx, &m, func(physical *core.Channel) error { return physical.RecoverAsync(ctx, m) })
}

// Cancel ends the consumer with this tag. It is [Consumer.Cancel] for those
// who keep tags; NoWait does not wait for the broker's answer. A tag that this
// channel does not know is passed on.
func (ch *Channel) Cancel(ctx context.Context, m core.BasicCancel) error {
	c := ch.consumer(m.ConsumerTag)
	if c == nil {
		return ch.call(ctx, &m, func(physical *core.Channel) error { return physical.Cancel(ctx, m) })
	}
	return ch.cancel(ctx, c, m.NoWait)
}

// String names the channel for logs.
func (ch *Channel) String() string { return fmt.Sprintf("%s of %s", ch.name, ch.conn.Name()) }
