package channel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// refuse notes which of the consumers in flight the physical channel, or the
// connection, died of. It returns why.
func (ch *Channel) refuse(physical *core.Channel, inFlight []*Consumer, blame session.Blame, err error) error {
	alone := len(inFlight) == 1
	switch {
	case ch.ctx.Err() != nil:
		return err
	case blame == session.Offender && alone:
		ch.putOff(inFlight[0], recovery.ReasonFatal, err)
		return err
	case blame != session.NotBlamed:
		ch.suspect(inFlight)
		return err
	case physical.Conn().Err() != nil || !overConsumer(err):
		return err
	}
	if core.AsError(err) != nil && !alone {
		ch.suspect(inFlight)
		return errLeftOut{err} // so far none; the next channel tells which
	}
	ch.mu.Lock()
	inFlight[0].refused = true
	ch.mu.Unlock()
	ch.putOff(inFlight[0], recovery.ReasonOf(err), err)
	return errLeftOut{err}
}

// overConsumer reports whether err came of starting consumers.
func overConsumer(err error) bool {
	return core.AsError(err).ClosedOver(wire.MethodBasicConsume) || errors.Is(err, core.ErrTimeout) || invalid(err)
}

// suspect has consumers started one by one from now on. The answers to those before
// the one that the broker refused need not have come, so any may have been it.
func (ch *Channel) suspect(inFlight []*Consumer) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, c := range inFlight {
		c.suspect = true
	}
}

func (ch *Channel) suspected(c *Consumer) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return c.suspect
}

// toProbe reports whether a consumer is to be tried on a channel of its own first.
// A direct reply-to belongs to its channel and cannot be.
func (ch *Channel) toProbe(c *Consumer) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return (c.refused || c.suspect) && c.m.Queue != "amq.rabbitmq.reply-to"
}

// probe tries a consumer on a channel of its own, where a refusal hurts no
// other. If it is taken it is cancelled at once. Automatic ack would lose what
// arrives until then: it is asked for with ack, one message at most, which goes back.
func (ch *Channel) probe(ctx context.Context, s *session.Session, c *Consumer) error {
	physical, err := s.Conn.Channel(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = closePhysical(physical, abandonLimit) }()
	if err := physical.Qos(ctx, core.BasicQos{PrefetchCount: 1}); err != nil {
		return err
	}
	m := c.method(ch.conn)
	m.ConsumerTag, m.NoAck = "", false
	var consumer *core.Consumer
	giveBack := core.OnTooLarge(func(d *core.Delivery, _ uint64) { _ = d.Reject(true) })
	blame, err := ch.conn.Attempt(ctx, s.Conn, ch.suspected(c) || c.fatal(), func() (err error) {
		consumer, err = physical.Consume(ctx, m, giveBack)
		return err
	})
	switch blame {
	case session.Offender:
		ch.putOff(c, recovery.ReasonFatal, err)
	case session.Suspect:
		ch.suspect([]*Consumer{c})
	}
	if err != nil {
		return err
	}
	if err := consumer.Cancel(ctx); err != nil {
		return err
	}
	for {
		d, _ := consumer.TryReceive()
		if d == nil {
			return nil
		}
		_ = d.Reject(true)
	}
}

// firstFatalConsumer is shorter than for entities: a queue without a leader has one again soon.
const firstFatalConsumer = 5 * time.Second

// putOff has a refused consumer wait. When its budget is spent it ends.
func (ch *Channel) putOff(c *Consumer, reason recovery.Reason, err error) {
	ch.mu.Lock()
	if c.attempts == 0 {
		c.since = time.Now()
		c.wait = backoff.Wait{}
	}
	c.attempts++
	first, last := session.Waits(reason)
	if reason == recovery.ReasonFatal {
		first = firstFatalConsumer
	}
	wait := backoff.Jitter(c.wait.Next(first, last))
	c.due = time.Now().Add(wait)
	if c.position.offsets.IsNone(err) { // it is asked for without an offset from now on
		c.due = time.Time{}
	}
	c.refusal, c.suspect, c.verified = err, false, false
	c.refused = c.refused || reason == recovery.ReasonFatal
	attempts := c.attempts
	spent := ch.conn.Budget().Spent(attempts, time.Since(c.since))
	ch.mu.Unlock()
	if spent {
		ch.remove(c, fmt.Errorf("gave up after %d attempts: %w", attempts, err))
		return
	}
	ch.conn.Emit(recovery.Event{Kind: recovery.EventConsumerLost, Entity: c.String(), Err: err, Attempt: attempts, Delay: wait})
}

// nextRetry returns when the next refused consumer is due.
func (ch *Channel) nextRetry() (at time.Time, ok bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, c := range ch.consumers {
		if !c.due.IsZero() && (!ok || c.due.Before(at)) && !ch.conn.Holds(*c.named.Load()) {
			at, ok = c.due, true
		}
	}
	return at, ok
}
