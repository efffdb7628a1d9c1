package publisher

import (
	"context"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
)

// Receipt is a message on its way to its outcome. Its methods are safe for
// concurrent use.
type Receipt struct {
	p   *Publisher
	ctx context.Context // the sender's
	pub core.Publishing

	// Guarded by the publisher's lock.
	phase     phase
	attempts  int
	handing   bool          // the runner is handing it to a channel
	suspect   bool          // the last attempt ended as unknown: it may be what killed the channel
	maybeSent bool          // some attempt did: the broker may have it
	verdict   core.Verdict  // once over
	done      chan struct{} // made when somebody waits; closed when over
	stop      func() bool   // ends the watch over the sender's context
}

// phase is where a receipt stands.
type phase uint8

const (
	queued   phase = iota // to be published
	inFlight              // on a channel, no verdict yet
	over                  // has its outcome
)

// Settle is called by the channel with its verdict. It is not for users.
func (r *Receipt) Settle(v core.Verdict) { r.p.settle(r, v) }

// Done is closed when the message has its outcome.
func (r *Receipt) Done() <-chan struct{} {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	return r.doneLocked()
}

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (r *Receipt) doneLocked() <-chan struct{} {
	switch {
	case r.done != nil:
		return r.done
	case r.phase == over:
		return closedChan
	}
	r.done = make(chan struct{})
	return r.done
}

// Wait waits for the outcome. The error is nil for a confirmed message, else a
// [*core.OutcomeError] which says why not. When ctx ends first, the waiting
// ends with its cause and outcome Pending; the message goes on.
func (r *Receipt) Wait(ctx context.Context) (core.Outcome, error) {
	if err := gate.Await(ctx, r.Done()); err != nil {
		return core.Pending, err
	}
	v := r.Verdict()
	return v.Outcome, v.Error()
}

// Verdict returns the outcome with its details, [core.Pending] while there is none.
func (r *Receipt) Verdict() core.Verdict {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if r.phase != over {
		return core.Verdict{}
	}
	return r.verdict
}

// MessageID returns the id under which the message is published, each time.
func (r *Receipt) MessageID() string { return r.pub.Properties.MessageID }

// Attempts returns how often the message was sent so far.
func (r *Receipt) Attempts() int {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	return r.attempts
}
