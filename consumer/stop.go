package consumer

import (
	"context"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/recovery"
)

// Stop stops the consumer as the end of its context does, and waits for it
// within ctx. It returns [ErrHandlers] if handlers did not finish. A consumer
// that was not started never will be.
//
// It waits for the handlers, so none of them may call it and wait, nor a loop
// over [Consumer.All]: that would take [StopTimeout], and what they have in
// their hands comes again. A loop breaks; a handler calls it on another
// goroutine.
func (c *Consumer) Stop(ctx context.Context) error {
	c.stopOnce.Do(func() { close(c.stop) })
	if !c.started.Swap(true) {
		close(c.done)
	}
	if err := gate.Await(ctx, c.done); err != nil {
		return err
	}
	return c.late
}

// finish waits until the consumer is stopped, or ends by itself, and then ends
// it in order. idle is closed when nobody takes deliveries any more; grace is
// for those whose context has ended by the stop timeout.
func (c *Consumer) finish(f *feed, idle <-chan struct{}, grace time.Duration) {
	defer close(c.done)
	defer f.release()
	select {
	case <-f.ctx.Done():
	case <-f.done:
	case <-idle:
	}
	// 1st: no more deliveries, and a bound for the handlers.
	f.cancel()
	c.late = c.await(f, idle, grace)
	// 2nd: acks first, then the channel; what is left on it goes back to the queue, or is lost.
	f.close()
	c.counters.dropped.Add(f.left())
}

// await waits for the handlers.
func (c *Consumer) await(f *feed, idle <-chan struct{}, grace time.Duration) error {
	bound := time.NewTimer(c.cfg.stopTimeout)
	defer bound.Stop()
	select {
	case <-idle:
		return nil
	case <-bound.C:
	}
	f.abort(ErrStopped)
	bound.Reset(grace)
	select {
	case <-idle:
		return nil
	case <-bound.C:
		return ErrHandlers
	}
}

// cancel ends the intake: the feed, and the broker's deliveries. With automatic
// ack those who empty the inbox must learn where it ends, if need be by the
// channel's.
func (f *feed) cancel() {
	f.stop(ErrStopped)
	<-f.done
	if sub := f.latestSubscription(); sub != nil {
		ctx, cancel := context.WithTimeoutCause(f.handlers, closeTimeout, core.ErrTimeout)
		defer cancel()
		err := sub.consumer.Cancel(ctx)
		if err != nil && f.c.cfg.autoAck {
			_ = sub.ch.Close(ctx) // it is given up in any case
		} // else the channel is closed next, which ends it too
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

// left takes out of the inbox what came with automatic ack and nobody has
// taken, and returns how much that is.
func (f *feed) left() (n uint64) {
	sub := f.latestSubscription()
	if sub == nil || !f.c.cfg.autoAck {
		return 0
	}
	for ; ; n++ {
		if d, _ := sub.consumer.TryReceive(); d == nil {
			return n
		}
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
		r.ConsumerRemoved(f.c.Queue())
	}
}

// added notes the first subscription: an auto-delete queue goes with its last
// consumer.
func (f *feed) added() {
	f.consumed.Store(true)
	if r := f.c.conn.Recorder(); r != nil {
		r.ConsumerAdded(f.c.Queue())
	}
}

// report makes a handler's failure visible.
func (f *feed) report(err error) {
	f.c.conn.Emit(recovery.Event{Kind: recovery.HandlerFailed, Entity: f.c.cfg.name, Err: err})
}
