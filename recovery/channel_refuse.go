package recovery

import (
	"errors"
	"fmt"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
)

// refuse notes which of the consumers in flight the physical channel, or the
// connection, died of. It returns why.
func (ch *Channel) refuse(physical *core.Channel, inFlight []*Consumer, err error) error {
	if ch.ctx.Err() != nil || !overConsumer(physical, err) {
		return err
	}
	if e, ok := errors.AsType[*core.Error](err); ok && len(inFlight) > 1 {
		ch.suspect(inFlight)
		if e.Scope == core.ScopeChannel {
			return errLeftOut{err} // so far none; the next channel tells which
		}
		return err
	}
	ch.putOff(inFlight[0], Classify(err), err)
	return errLeftOut{err}
}

// overConsumer reports whether err came of starting consumers.
func overConsumer(physical *core.Channel, err error) bool {
	e, ok := errors.AsType[*core.Error](err)
	if !ok { // a connection can die of a timeout too
		return errors.Is(err, core.ErrTimeout) && physical.Conn().Err() == nil || invalid(err)
	}
	return e.Server && e.Method == wire.MethodBasicConsume.String()
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

// firstFatalConsumer is shorter than for entities: a consumer that was being
// started on another channel at the same moment may have been to blame.
const firstFatalConsumer = 5 * time.Second

// putOff has a refused consumer wait. When its budget is spent it ends.
func (ch *Channel) putOff(c *Consumer, reason Reason, err error) {
	ch.mu.Lock()
	if c.attempts == 0 {
		c.since = time.Now()
		c.wait = 0
	}
	c.attempts++
	first, last := waits(reason)
	if reason == Fatal {
		first = firstFatalConsumer
	}
	c.wait = min(max(first, 2*c.wait), last)
	c.due = time.Now().Add(c.wait)
	c.refusal, c.suspect, c.verified = err, false, false
	attempts, wait := c.attempts, c.wait
	spent := ch.conn.cfg.Semantic.spent(attempts, time.Since(c.since))
	ch.mu.Unlock()
	if spent {
		ch.remove(c, fmt.Errorf("gave up after %d attempts: %w", attempts, err))
		return
	}
	ch.conn.Emit(Event{Kind: ConsumerLost, Entity: c.String(), Err: err, Attempt: attempts, Delay: wait})
}

// nextRetry returns when the next refused consumer is due.
func (ch *Channel) nextRetry() (at time.Time, ok bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, c := range ch.consumers {
		if !c.due.IsZero() && (!ok || c.due.Before(at)) && !ch.conn.holds(*c.named.Load()) {
			at, ok = c.due, true
		}
	}
	return at, ok
}
