package channel

import (
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/recovery"
)

// maxUntold bounds the messages of one consumer whose event is still to come.
const maxUntold = 100

// holdTooLarge is what a consumer does with a message that is too large, unless
// it was started with an option of its own. It runs on the reader goroutine, perhaps
// before Consume has returned, so the channel's goroutine tells.
func (c *Consumer) holdTooLarge(d *core.Delivery, size uint64) {
	fate := recovery.FateHeld
	if d.Settled() {
		fate = recovery.FateGone
	}
	err := recovery.NewTooLargeError(d, size, fate)
	c.channel.mu.Lock()
	if fate == recovery.FateHeld {
		c.holds, c.holdsOn = err, d.Channel()
	}
	if len(c.tooLarge) < maxUntold {
		c.tooLarge = append(c.tooLarge, err)
	}
	c.channel.mu.Unlock()
	c.channel.look()
}

// tellTooLarge tells of the messages that were too large for its consumers.
func (ch *Channel) tellTooLarge() {
	ch.mu.Lock()
	var events []recovery.Event
	for _, c := range ch.consumers {
		for _, err := range c.tooLarge {
			events = append(events, recovery.Event{Kind: recovery.EventTooLarge, Entity: c.m.Queue, Name: c.m.ConsumerTag, Err: err})
		}
		c.tooLarge = nil
	}
	ch.mu.Unlock()
	for _, e := range events {
		ch.conn.Emit(e)
	}
}

// heldLocked returns what consumers hold on physical.
func (ch *Channel) heldLocked(physical *core.Channel) (failures []recovery.Failure) {
	for _, c := range ch.consumers {
		if c.holds != nil && c.holdsOn == physical && c.onLocked(physical) {
			failures = append(failures, recovery.Failure{Entity: c.String(), Err: c.holds})
		}
	}
	return failures
}
