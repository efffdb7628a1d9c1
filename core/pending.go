package core

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// pending is one RPC in flight. Replies come in the order of the requests, so
// each channel keeps its pending RPCs in a queue.
type pending struct {
	request  wire.MethodID
	replies  []wire.MethodID
	sent     time.Time
	consumer *Consumer // for basic.consume and basic.cancel
	noAck    bool      // for basic.get: what comes is settled
	orphan   bool      // nobody waits any more; guarded by the channel's lock

	done     chan struct{} // closed when the fields below are set
	reply    wire.Method
	delivery *Delivery // for basic.get-ok
	err      error
}

func newPending(m wire.Method) *pending {
	p := &pending{request: m.ID(), replies: wire.Replies(m.ID()), sent: time.Now(), done: make(chan struct{})}
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

// wait waits for the reply, at most for limit; expired then is true.
func (p *pending) wait(ctx context.Context, limit time.Duration) (m wire.Method, expired bool, err error) {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-p.done:
		return p.reply, false, p.err
	case <-t.C:
		return nil, true, errNoAnswer(p.request, limit)
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
}

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
