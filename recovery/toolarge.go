package recovery

import (
	"fmt"

	"github.com/warren-mq/warren/core"
)

// TooLargeError is about a message that is larger than [core.Config].MaxBody: its
// body was skipped as it arrived. It is [core.ErrContentTooLarge].
type TooLargeError struct {
	Size       uint64
	Exchange   string
	RoutingKey string
	MessageID  string
	Fate       Fate
}

// Fate is what became of a message that is too large.
type Fate uint8

// The fates.
const (
	// Held: it stays unsettled, and takes a place of the prefetch, until its
	// channel ends. Then it is delivered again, perhaps to somebody who can read it.
	Held Fate = iota
	// Rejected: it went to the dead-letter exchange if its queue has one; else it is gone.
	Rejected
	// Skipped: it stays in the stream.
	Skipped
	// Gone: it came with automatic ack, so the broker has forgotten it.
	Gone
)

var fates = [...]string{
	Held:     "it is held unread, and with it a place of the prefetch, and comes again when the channel ends: raise MaxBody, or have such messages rejected",
	Rejected: "it is rejected unread: dead-lettered if its queue has a dead-letter exchange, else gone",
	Skipped:  "it is skipped, and stays in the stream: raise MaxBody to read it",
	Gone:     "it is lost, since it came with automatic ack: raise MaxBody",
}

// String returns the fate, and what to do, in words.
func (f Fate) String() string {
	if int(f) < len(fates) {
		return fates[f]
	}
	return fmt.Sprintf("fate %d", uint8(f))
}

// NewTooLargeError is about d, of so many bytes.
func NewTooLargeError(d *core.Delivery, size uint64, fate Fate) *TooLargeError {
	return &TooLargeError{size, d.Exchange, d.RoutingKey, d.MessageID(), fate}
}

// Error names the message, and says what became of it.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("message of %d bytes, more than core.Config.MaxBody, exchange %q, routing key %q, message id %q: %s",
		e.Size, e.Exchange, e.RoutingKey, e.MessageID, e.Fate)
}

// Is reports whether target is [core.ErrContentTooLarge].
func (e *TooLargeError) Is(target error) bool { return target == core.ErrContentTooLarge }

// Holds notes that the member, which is established on s, holds something that
// it can do nothing with. It does nothing if it is not, or no more.
func (m *Member) Holds(s *Session, err error) {
	c := m.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.left || m.epoch != s.Epoch {
		return
	}
	c.count(m, -1)
	m.failures = []Failure{{m.name, err}}
	c.count(m, 1)
	c.update()
}

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
