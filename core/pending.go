package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// pending is one RPC in flight. Replies come in the order of the requests, so
// each channel keeps its pending RPCs in a queue.
type pending struct {
	request  wire.MethodID
	replies  []wire.MethodID
	consumer *Consumer // for basic.consume and basic.cancel
	noAck    bool      // for basic.get: what comes is settled
	orphan   bool      // nobody waits any more; guarded by the channel's lock

	done     chan struct{} // closed when the fields below are set
	reply    wire.Method
	delivery *Delivery // for basic.get-ok
	err      error
}

func newPending(m wire.Method) *pending {
	p := &pending{request: m.ID(), replies: wire.Replies(m.ID()), done: make(chan struct{})}
	if m, ok := m.(*wire.BasicGet); ok {
		p.noAck = m.NoAck
	}
	return p
}

// takes reports whether id is a reply to this request.
func (p *pending) takes(id wire.MethodID) bool { return slices.Contains(p.replies, id) }

func (p *pending) succeed(m wire.Method, d *Delivery) {
	p.reply, p.delivery = m, d
	close(p.done)
}

func (p *pending) fail(err error) {
	p.err = err
	close(p.done)
}

// wait waits for the reply as long as ctx and patience last; the error then is
// the cause of ctx, or an [ErrTimeout] that is an [unanswered].
func (p *pending) wait(ctx context.Context, patience *patience) (wire.Method, error) {
	switch replied, err := patience.await(ctx, p.done); {
	case replied:
		return p.reply, p.err
	case err != nil:
		return nil, err
	}
	return nil, &unanswered{p.request, patience.limit}
}

// unanswered is the end of patience with a request.
type unanswered struct {
	request wire.MethodID
	limit   time.Duration
}

func (e *unanswered) Error() string {
	return fmt.Sprintf("%v: %s was not answered within %s", ErrTimeout, e.request, e.limit)
}

func (e *unanswered) Unwrap() error { return ErrTimeout }

// failCalls fails the RPCs of a channel that has ended with cause. The server
// handles them in order, and ignores those behind the one that it refuses.
func failCalls(calls []*pending, cause error) {
	ignored := false
	e, ok := errors.AsType[*Error](cause)
	for _, p := range calls {
		if ignored {
			p.fail(because(ErrIgnored, cause))
			continue
		}
		p.fail(cause)
		ignored = ok && e.Server && e.Scope == ScopeChannel && e.Method == p.request.String()
	}
}
