package core

import (
	"context"
	"errors"
	"fmt"

	"github.com/warren-mq/warren/internal/gate"
)

// Confirmation is a publish waiting for its verdict. It is safe for concurrent use.
type Confirmation struct {
	done    chan struct{}
	verdict Verdict // written before done is closed
}

func newConfirmation() *Confirmation { return &Confirmation{done: make(chan struct{})} }

// Settle implements [Settler].
func (c *Confirmation) Settle(v Verdict) {
	c.verdict = v
	close(c.done)
}

// Done is closed when the verdict is known.
func (c *Confirmation) Done() <-chan struct{} { return c.done }

// Verdict returns the verdict, [OutcomePending] before Done.
func (c *Confirmation) Verdict() Verdict {
	select {
	case <-c.done:
		return c.verdict
	default:
		return Verdict{}
	}
}

// Wait waits for the verdict. The end of ctx ends the waiting only: the error
// is its cause, and the verdict still comes.
func (c *Confirmation) Wait(ctx context.Context) (Verdict, error) {
	if err := gate.Await(ctx, c.done); err != nil {
		return Verdict{}, gate.Waiting(err, "the broker's confirm", nil)
	}
	return c.verdict, nil
}

// Err turns the verdict into an error: nil for OutcomeConfirmed, else an
// [*OutcomeError].
func (v Verdict) Err() error {
	if v.Outcome == OutcomeConfirmed {
		return nil
	}
	e := &OutcomeError{Verdict: v}
	if v.Return != nil {
		e.Exchange, e.RoutingKey = v.Return.Exchange, v.Return.RoutingKey
	}
	return e
}

// Sentinels for errors.Is on an [*OutcomeError].
var (
	ErrReturned = errors.New("amqp: message returned: no queue took it")
	ErrNacked   = errors.New("amqp: message refused by the broker")
	ErrNotSent  = errors.New("amqp: message not sent")
	ErrUnknown  = errors.New("amqp: message sent, outcome unknown")
)

// OutcomeError is a publish that was not confirmed. errors.Is finds
// [ErrReturned], [ErrNacked], [ErrNotSent] or [ErrUnknown], and the cause of
// the channel's death; for a return also its [Code].
type OutcomeError struct {
	Verdict Verdict
	// Exchange and RoutingKey are where the message was to go. They are set by
	// package publisher, and for a return; else empty.
	Exchange   string
	RoutingKey string
}

// Error returns the outcome, where the message was to go, and the cause, in one line.
func (e *OutcomeError) Error() string {
	text := e.kind().Error()
	if e.Exchange != "" || e.RoutingKey != "" {
		text += fmt.Sprintf(" (exchange %q, key %q)", e.Exchange, e.RoutingKey)
	}
	switch v := e.Verdict; {
	case v.Return != nil:
		return fmt.Sprintf("%s: %s: %s", text, v.Return.Code.Error(), printable(v.Return.Text))
	case v.Cause != nil:
		return fmt.Sprintf("%s: %s", text, bare(v.Cause))
	}
	return text
}

// Unwrap returns the outcome's sentinel and the cause.
func (e *OutcomeError) Unwrap() []error {
	all := []error{e.kind()}
	if e.Verdict.Return != nil {
		all = append(all, e.Verdict.Return.Code)
	}
	if e.Verdict.Cause != nil {
		all = append(all, e.Verdict.Cause)
	}
	return all
}

func (e *OutcomeError) kind() error {
	switch e.Verdict.Outcome {
	case OutcomeReturned:
		return ErrReturned
	case OutcomeNacked:
		return ErrNacked
	case OutcomeNotSent:
		return ErrNotSent
	default:
		return ErrUnknown
	}
}
