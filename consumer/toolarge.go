package consumer

import (
	"sync"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// oversize takes the messages of one subscription that are too large to be read.
type oversize struct {
	f *feed
	s *session.Session

	mu   sync.Mutex // guards the following
	held error      // the latest one that is held
}

// take takes one, without its body. It runs on the reader goroutine.
func (o *oversize) take(d *core.Delivery, size uint64) {
	c := o.f.c
	fate := c.fate()
	switch fate {
	case recovery.FateGone:
		c.counters.dropped.Add(1)
	case recovery.FateSkipped:
		_ = d.Ack() // for its place in the prefetch; on a dead channel it comes again
	case recovery.FateRejected:
		if d.Reject(false) == nil {
			c.counters.rejected.Add(1)
		}
	}
	err := recovery.NewTooLargeError(d, size, fate)
	c.conn.Emit(recovery.Event{Kind: recovery.EventTooLarge, Entity: c.cfg.name, Err: err})
	if fate == recovery.FateHeld {
		o.mu.Lock()
		o.held = err
		o.mu.Unlock()
		o.f.member.Holds(o.s, err) // if it counts as established already, else tell does
	}
}

// tell has the state say what is held, once the subscription counts as established.
func (o *oversize) tell() {
	o.mu.Lock()
	err := o.held
	o.mu.Unlock()
	if err != nil {
		o.f.member.Holds(o.s, err)
	}
}

// fate is what becomes of a message that is too large.
func (c *Consumer) fate() recovery.Fate {
	switch {
	case c.cfg.autoAck:
		return recovery.FateGone
	case c.offsets.IsStream():
		return recovery.FateSkipped
	case c.cfg.rejectLarge:
		return recovery.FateRejected
	}
	return recovery.FateHeld
}
