package core

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/gate"
)

// pending is one RPC in flight. Replies come in the order of the requests, but
// for those that [lateReply] knows, so each channel keeps its pending RPCs in a queue.
type pending struct {
	request  wire.MethodID
	replies  []wire.MethodID
	tag      string    // of basic.consume and basic.cancel, as it was sent
	consumer *Consumer // for the same
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

// answered returns the place of the call that m is the reply to, -1 if there is
// none. That is the oldest, or one behind calls whose replies may still come.
func answered(calls []*pending, m wire.Method) int {
	if m.ID() == wire.MethodChannelCloseOk { // the last one: what was not answered never will be
		return slices.IndexFunc(calls, func(p *pending) bool { return p.takes(m.ID()) })
	}
	next := -1
	for i, p := range calls {
		if p.takes(m.ID()) {
			switch tag, tagged := consumerTag(m); {
			case !tagged || p.tag == tag:
				return i
			case next < 0 || p.tag == "" && calls[next].tag != "": // the server names the consumer
				next = i
			}
		}
		if !lateReply(p.request) {
			break
		}
	}
	return next
}

// lateReply reports whether the reply to a request may come behind those to
// later ones. RabbitMQ has the queue answer basic.consume and basic.cancel, and
// what the channel has received meanwhile is answered first; if the channel is
// closed meanwhile, they never are. It answers tx.commit when all is stored, or never.
func lateReply(request wire.MethodID) bool {
	return request == wire.MethodBasicConsume || request == wire.MethodBasicCancel
}

// consumerTag returns the tag that a reply names its consumer by.
func consumerTag(m wire.Method) (tag string, ok bool) {
	switch m := m.(type) {
	case *wire.BasicConsumeOk:
		return m.ConsumerTag, true
	case *wire.BasicCancelOk:
		return m.ConsumerTag, true
	}
	return "", false
}

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
		return nil, gate.Waiting(err, "the answer to "+p.request.String(), nil)
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

// isCancelled reports whether one of the calls cancels c. A second cancel is
// answered at once, the first one behind what is still delivered.
func isCancelled(calls []*pending, c *Consumer) bool {
	return c != nil && slices.ContainsFunc(calls, func(p *pending) bool {
		return p.consumer == c && p.request == wire.MethodBasicCancel
	})
}

// failCalls fails the RPCs of a channel that has ended with cause. The server
// handles them in order, and ignores those behind the one that it refuses. Of
// several whose replies come late it may have refused any.
func failCalls(calls []*pending, cause error) {
	ignored := false
	e := AsError(cause)
	for _, p := range calls {
		if ignored {
			p.fail(because(ErrIgnored, cause))
			continue
		}
		p.fail(cause)
		ignored = e.ClosedChannel() && e.ClosedOver(p.request) && !lateReply(p.request)
	}
}
