package session

import (
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// Record records an entity that was declared on a physical connection; queue is the name that the broker gave. What
// was quarantined is so no more, and what missed it is tried again. If that connection is not the present one,
// the present one may have been restored without the entity: then everything is declared there once more.
func (c *Connection) Record(on *core.Conn, entity topology.Entity, queue string) {
	if c.cfg.Recorder == nil {
		return
	}
	if err := c.cfg.Recorder.Record(entity, queue); err != nil {
		c.Emit(recovery.Event{Kind: recovery.EventNotRecorded, Entity: entity.String(), Err: err})
	}
	c.mu.Lock()
	late := c.conn != on
	if late {
		c.check.asked++
		c.check.whole = c.check.asked
	}
	c.mu.Unlock()
	if late {
		c.review()
	}
	c.restored(entity)
}

// restored ends the quarantine of an entity that exists.
func (c *Connection) restored(entity topology.Entity) {
	key := entityKey(entity)
	c.mu.Lock()
	p := c.quarantine.find(key)
	if p == nil || c.quarantine.held.queues[key] != nil { // one that is held comes back with its bindings
		c.mu.Unlock()
		return
	}
	c.quarantine.release(key)
	c.quarantine.nudge(time.Now())
	c.updateLocked()
	c.mu.Unlock()
	c.review()
	c.Emit(recovery.Event{Kind: recovery.EventRestored, Entity: entity.String(), Attempt: p.Attempts})
}

// Forget runs f with the recorder, if there is one, and lets go of what is quarantined and no longer recorded.
func (c *Connection) Forget(f func(*record.Recorder)) {
	if c.cfg.Recorder == nil {
		return
	}
	f(c.cfg.Recorder)
	c.mu.Lock()
	none := len(c.quarantine.entries) == 0
	c.mu.Unlock()
	if none {
		return
	}
	recorded := map[string]bool{}
	for _, phase := range c.cfg.Recorder.Plan() {
		for _, step := range phase.Steps {
			recorded[entityKey(step.Entity)] = true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.quarantine.all {
		if !recorded[p.key] {
			c.quarantine.release(p.key)
		}
	}
	c.updateLocked()
}

// review has the supervisor look when the next one of the quarantine is due.
func (c *Connection) review() {
	select {
	case c.reviews <- struct{}{}:
	default:
	}
}
