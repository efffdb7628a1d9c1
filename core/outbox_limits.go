package core

import (
	"context"
	"fmt"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/gate"
)

// admit waits until the data lane is below its budget, and below limit. The
// bound is soft by one message a publisher. It also returns, without an error,
// when dead is closed: a caller that comes in finds out why.
func (o *outbox) admit(ctx context.Context, limit int64, dead <-chan struct{}) error {
	limit = min(limit, o.budget)
	for o.queued.Load() >= limit {
		o.mu.Lock()
		if o.err != nil {
			o.mu.Unlock()
			return o.err
		}
		if int64(len(o.data)) < limit {
			o.mu.Unlock()
			return nil
		}
		space := o.space.Wait()
		o.mu.Unlock()
		if again, err := await(ctx, space, dead); !again {
			return o.full(err)
		}
	}
	return nil
}

// full adds to err, with which the waiting for room ended, what was waited for.
func (o *outbox) full(err error) error {
	if err == nil {
		return nil
	}
	return gate.Waiting(err, "room in the write buffer", fmt.Errorf("the peer is behind by the %d bytes that it holds", o.budget))
}

// await waits for c. It reports false when there is no use in looking again.
func await(ctx context.Context, c, dead <-chan struct{}) (again bool, err error) {
	select {
	case <-c:
		return true, nil
	case <-dead:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// admitControl waits, as admit does, for those who send methods without
// waiting for an answer.
func (o *outbox) admitControl(ctx context.Context, dead <-chan struct{}) error {
	for {
		o.mu.Lock()
		if o.err != nil || int64(len(o.control)+len(o.data)) < o.budget {
			defer o.mu.Unlock()
			return o.err
		}
		space := o.space.Wait()
		o.mu.Unlock()
		if again, err := await(ctx, space, dead); !again {
			return o.full(err)
		}
	}
}

// maxAnswers bounds what a server that does not read can make this side
// queue by asking.
const maxAnswers = 1 << 20

// answer appends a frame that the server's own frames call for. On a
// connection that ends nobody waits for it. The error is a fault of the server.
func (o *outbox) answer(id uint16, a *acks, m wire.Method) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return nil
	}
	size, err := o.append(id, a, m)
	if err != nil {
		return err
	}
	return o.answeredLocked(size)
}

// countAnswer counts an answer that goes out with the acks.
func (o *outbox) countAnswer(size int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.answeredLocked(size)
}

// answeredLocked counts bytes that answer the server.
func (o *outbox) answeredLocked(size int) error {
	if o.answers += size; o.answers > maxAnswers {
		return errAnswersUnread
	}
	return nil
}

// pendingSwap returns the swap that takes what is queued now, or the last one.
func (o *outbox) pendingSwap() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.control)+len(o.data) > 0 {
		return o.swaps + 1
	}
	return o.swaps
}

// hasWritten reports whether the socket has taken all of a swap.
func (o *outbox) hasWritten(swap uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written >= swap
}

// hasWrittenOf reports whether the socket has taken all publishes of channel id.
func (o *outbox) hasWrittenOf(id uint16) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lane(id)
	return !l.inside && o.written >= l.data
}
