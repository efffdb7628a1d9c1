package publisher

import (
	"context"
	"errors"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
)

// Receipt is a message on its way to its outcome. Its methods are safe for
// concurrent use.
type Receipt struct {
	p   *Publisher
	ctx context.Context // the sender's
	pub core.Publishing

	insisted bool // on being mandatory, whatever a return says

	// Guarded by the publisher's lock.
	phase     phase
	attempts  int
	handing   bool          // the runner is handing it to a channel
	suspect   bool          // the last attempt ended as unknown: it may be what killed the channel
	maybeSent bool          // an attempt before that did: the broker may have it
	doubt     string        // or, where r is not itself what the broker wrote this about
	refused   core.Verdict  // nacked or returned, to be tried again; else zero
	refusals  int           // how often
	closings  int           // of a connection on which it was alone
	due       time.Time     // when it is tried again
	verdict   core.Verdict  // once over
	free      bool          // once over: nobody but the sender refers to it
	done      chan struct{} // made when somebody waits; closed when over
	signal    chan struct{} // instead of done where [Publisher.Publish] waits: capacity 1
	stop      func() bool   // ends the watch over the sender's context
}

// phase is where a receipt stands.
type phase uint8

const (
	queued   phase = iota // to be published
	inFlight              // on a channel, no verdict yet
	over                  // has its outcome
)

// settler is a receipt as its channel sees it, so that nobody else can give it a verdict.
type settler Receipt

// Settle implements [core.Settler].
func (s *settler) Settle(v core.Verdict) { s.p.settle((*Receipt)(s), v) }

// Done is closed when the message has its outcome.
func (r *Receipt) Done() <-chan struct{} {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if r.done == nil {
		r.done = make(chan struct{})
		if r.phase == over {
			close(r.done)
		}
	}
	return r.done
}

// letGo gives back what was borrowed: r itself may be kept for long, by its
// sender, or by a channel whose broker still owes the verdict. The lock is
// held, and no channel reads the message any more.
func (r *Receipt) letGo() { r.pub.Body, r.pub.Properties.Headers = nil, nil }

// announceLocked tells those who wait that r is over, as the last thing that is done
// with it: its sender may use it again.
func (r *Receipt) announceLocked() {
	if r.done != nil {
		close(r.done)
	}
	if r.stop != nil {
		r.stop()
	}
	if r.signal != nil {
		r.signal <- struct{}{}
	}
}

// Wait waits for the outcome. The error is nil for a confirmed message, else a
// [*core.OutcomeError] which says why not. When ctx ends first, the waiting
// ends with its cause and [core.OutcomePending]; the message goes on.
func (r *Receipt) Wait(ctx context.Context) (core.Outcome, error) {
	if err := gate.Await(ctx, r.Done()); err != nil {
		return core.OutcomePending, err
	}
	v := r.Verdict()
	return v.Outcome, addressed(v.Err(), r)
}

// Verdict returns the outcome with its details, [core.OutcomePending] while there is none.
func (r *Receipt) Verdict() core.Verdict {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
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

// doubted notes that the last attempt ended without a verdict, because of refusal
// if the broker closed the channel, or the connection, over a publish, else nil.
func (r *Receipt) doubted(refusal *core.Error) {
	switch {
	case !r.suspect:
	case r.isDefect(refusal) && (r.doubt == "" || r.doubt == refusal.Text):
		r.doubt = refusal.Text
	default:
		r.maybeSent = true
	}
	r.suspect = false
}

// offended notes that the channel, or the connection, closed over r.
func (r *Receipt) offended(refusal *core.Error) {
	r.suspect = false // it is known
	switch {
	case isFault(refusal.Code) && !r.toOneQueue():
		r.maybeSent = true
	case r.isDefect(refusal) && r.doubt == refusal.Text:
		r.doubt = "" // it was refused then too, or not looked at
	}
}

// isDefect reports whether refusal is about what a message is like, and so of
// the same message each time, and not about what there is at the broker. Where the
// broker closes the connection over one queue of several the others have the message.
func (r *Receipt) isDefect(refusal *core.Error) bool {
	switch {
	case refusal == nil:
		return false
	case isFault(refusal.Code):
		return r.toOneQueue()
	}
	return refusal.Code == core.ErrPreconditionFailed
}

// toOneQueue reports whether no more than one queue can have the message.
func (r *Receipt) toOneQueue() bool {
	_, cc := r.pub.Properties.Headers["CC"]
	_, bcc := r.pub.Properties.Headers["BCC"]
	return r.pub.Exchange == "" && !cc && !bcc
}

// overall is the outcome of a message whose last attempt ended with v: what an
// earlier one may have done, nobody can deny.
func (r *Receipt) overall(v core.Verdict) core.Verdict {
	switch {
	case v.Outcome == core.OutcomeConfirmed, v.Outcome == core.OutcomeReturned:
	case r.maybeSent || r.doubt != "":
		v.Outcome = core.OutcomeUnknown
	case v.Outcome == core.OutcomeNotSent && r.refused.Outcome != core.OutcomePending:
		v = core.Verdict{Outcome: r.refused.Outcome, Return: r.refused.Return, Cause: errors.Join(v.Cause, r.refused.Cause)}
	}
	return v
}
