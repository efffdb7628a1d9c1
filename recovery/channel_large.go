package recovery

import (
	"github.com/warren-mq/warren/core"
)

// maxUntold bounds the messages of one consumer whose event is still to come.
const maxUntold = 100

// holdTooLarge is what a consumer does with a message that is too large, unless
// it was started with an option of its own. It runs on the reader goroutine, perhaps
// before Consume has returned, so the channel's goroutine tells.
func (c *Consumer) holdTooLarge(d *core.Delivery, size uint64) {
	fate := Held
	if d.Settled() {
		fate = Gone
	}
	err := NewTooLargeError(d, size, fate)
	c.channel.mu.Lock()
	if fate == Held {
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
	var events []Event
	for _, c := range ch.consumers {
		for _, err := range c.tooLarge {
			events = append(events, Event{Kind: TooLarge, Entity: c.m.Queue, Name: c.m.ConsumerTag, Err: err})
		}
		c.tooLarge = nil
	}
	ch.mu.Unlock()
	for _, e := range events {
		ch.conn.Emit(e)
	}
}

// held returns what consumers hold on physical. The channel's lock is held.
func (ch *Channel) held(physical *core.Channel) (failures []Failure) {
	for _, c := range ch.consumers {
		if c.holds != nil && c.holdsOn == physical && c.on(physical) {
			failures = append(failures, Failure{c.String(), c.holds})
		}
	}
	return failures
}
