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
	// FateHeld: it stays unsettled, and takes a place of the prefetch, until its
	// channel ends. Then it is delivered again, perhaps to somebody who can read it.
	FateHeld Fate = iota
	// FateRejected: it went to the dead-letter exchange if its queue has one; else it is gone.
	FateRejected
	// FateSkipped: it stays in the stream.
	FateSkipped
	// FateGone: it came with automatic ack, so the broker has forgotten it.
	FateGone
)

var fates = [...]string{
	FateHeld:     "it is held unread, and with it a place of the prefetch, and comes again when the channel ends: raise MaxBody, or have such messages rejected",
	FateRejected: "it is rejected unread: dead-lettered if its queue has a dead-letter exchange, else gone",
	FateSkipped:  "it is skipped, and stays in the stream: raise MaxBody to read it",
	FateGone:     "it is lost, since it came with automatic ack: raise MaxBody",
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
