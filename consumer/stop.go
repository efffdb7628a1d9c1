package consumer

import (
	"context"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/recovery"
)

// cancel ends the intake: the feed, and the broker's deliveries.
func (f *feed) cancel() {
	f.stop(ErrStopped)
	<-f.done
	if sub := f.latestSubscription(); sub != nil {
		ctx, cancel := context.WithTimeoutCause(f.handlers, closeTimeout, core.ErrTimeout)
		defer cancel()
		_ = sub.consumer.Cancel(ctx) // the channel is closed next, which ends it too
	}
}

// close closes the last channel behind the acks that were queued on it.
func (f *feed) close() {
	f.stop(ErrStopped)
	<-f.done
	if sub := f.latestSubscription(); sub != nil {
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(f.handlers), closeTimeout, core.ErrTimeout)
		defer cancel()
		_ = sub.ch.Close(ctx) // it is given up in any case
	}
}

func (f *feed) latestSubscription() *subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest
}

// release ends what the feed holds of its connection.
func (f *feed) release() {
	f.member.Leave()
	f.abort(ErrStopped)
	if r := f.c.conn.Recorder(); r != nil && f.consumed.Load() {
		r.ConsumerRemoved(f.c.queue)
	}
}

// added notes the first subscription: an auto-delete queue goes with its last
// consumer.
func (f *feed) added() {
	f.consumed.Store(true)
	if r := f.c.conn.Recorder(); r != nil {
		r.ConsumerAdded(f.c.queue)
	}
}

// report makes a handler's failure visible.
func (f *feed) report(err error) {
	f.c.conn.Emit(recovery.Event{Kind: recovery.HandlerFailed, Entity: f.c.cfg.name, Err: err})
}
