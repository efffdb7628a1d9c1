package recovery

import (
	"errors"
	"fmt"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
)

// refuse notes which consumer the physical channel, or the connection, died
// of: the first of those in flight. It returns why.
func (ch *Channel) refuse(physical *core.Channel, inFlight []*Consumer, err error) error {
	if ch.ctx.Err() != nil || !ch.blamed(physical, inFlight, err) {
		return err
	}
	ch.putOff(inFlight[0], Classify(err), err)
	return errLeftOut{err}
}

// blamed reports whether the first of the consumers in flight was refused. If
// it may have been another one that made the broker close the connection, they
// are started one by one from now on.
func (ch *Channel) blamed(physical *core.Channel, inFlight []*Consumer, err error) bool {
	e, ok := errors.AsType[*core.Error](err)
	switch {
	case !ok: // a connection can die of a timeout too
		return errors.Is(err, core.ErrTimeout) && physical.Conn().Err() == nil || invalid(err)
	case !e.Server || e.Method != wire.MethodBasicConsume.String():
		return false // whatever happened, it was not over a consumer
	case e.Scope == core.ScopeChannel || len(inFlight) == 1:
		return true
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, c := range inFlight {
		c.suspect = true
	}
	return false
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
