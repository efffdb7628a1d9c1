package consumer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/recovery"
)

// Stop stops the consumer as the end of its context does, and waits for it
// within ctx. It returns [ErrHandlers] if handlers did not finish. A consumer
// that was not started never will be; one that ended by itself leaves the
// connection's state.
//
// It waits for the handlers, so none of them may call it and wait, nor a loop
// over [Consumer.All]: that would take [StopTimeout], and what they have in
// their hands comes again. A loop breaks; a handler calls it on another
// goroutine.
func (c *Consumer) Stop(ctx context.Context) error {
	if end, bounded := ctx.Deadline(); bounded {
		c.hurry(end)
	}
	c.stopOnce.Do(func() { close(c.stop) })
	if !c.started.Swap(true) {
		close(c.done)
	}
	if err := gate.Await(ctx, c.done); err != nil {
		return gate.Waiting(err, "the end of "+c.cfg.name+" and its handlers", nil)
	}
	c.member.Leave()
	return c.late
}

// runFinish waits until the consumer is stopped, or ends by itself, and then ends
// it in order. idle is closed when nobody takes deliveries any more; grace is
// for those whose context has ended by the stop timeout.
func (c *Consumer) runFinish(f *feed, idle <-chan struct{}, grace time.Duration) {
	defer close(c.done)
	defer f.leave()
	select {
	case <-f.ctx.Done():
	case <-f.done:
	case <-idle:
	}
	// 1st: no more deliveries, what nobody has begun goes back, and a bound for the handlers.
	f.cancel()
	begun := time.Now()
	f.giveBack(idle)
	c.late = c.await(f, idle, begun, grace)
	// 2nd: acks first, then the channel; what is left on it goes back to the queue, or is lost.
	f.close()
	c.counters.dropped.Add(f.left())
	c.err = errors.Join(f.failure(), c.late)
}

// await waits for the handlers, which were told at begun. What a consumer holds and finishes is begun in the first half of the bound.
func (c *Consumer) await(f *feed, idle <-chan struct{}, begun time.Time, grace time.Duration) error {
	end := begun.Add(c.cfg.stopTimeout)
	bound := time.NewTimer(time.Until(begun.Add(c.cfg.stopTimeout / 2)))
	defer bound.Stop()
	for aborted := false; ; {
		select {
		case <-idle:
			return nil
		case by := <-c.hurries:
			if by.Before(end) && !aborted {
				end = by
				bound.Reset(time.Until(end) / 2)
			}
			continue
		case <-bound.C:
		}
		switch left := time.Until(end); {
		case aborted:
			return ErrHandlers
		case left > 0:
			f.endFinish(ErrStopped)
			bound.Reset(left)
		default:
			f.abort(ErrStopped)
			bound.Reset(grace)
			aborted = true
		}
	}
}

// hurry has the consumer, when it stops, leave its handlers less time than the stop timeout, so that what they
// hold is given back in order before its stop runs out of time.
func (c *Consumer) hurry(end time.Time) {
	left := time.Until(end)
	select {
	case c.hurries <- end.Add(-min(left/5, 2*time.Second)):
	default: // it was told before
	}
}

// cancel ends the intake: the feed, and the broker's deliveries. With automatic
// ack those who empty the inbox must learn where it ends, if need be by the
// channel's.
func (f *feed) cancel() {
	f.stop(ErrStopped)
	<-f.done
	f.awaitSlots()
	if sub := f.latestSubscription(); sub != nil {
		ctx, cancel := context.WithTimeoutCause(f.handlers, closeTimeout, core.ErrTimeout)
		defer cancel()
		for _, c := range slices.Concat(sub.extra, []*core.Consumer{sub.consumer}) { // whose inbox it is comes last
			if err := c.Cancel(ctx); err != nil && (f.c.cfg.autoAck || sub.finishes) {
				_ = sub.ch.Close(ctx) // it is given up in any case
			} // else the channel is closed next, which ends it too
		}
	}
}

// together is how long what nobody has begun waits for the handlers, so that it goes back with their channel.
const together = 100 * time.Millisecond

// giveBack gives back what failed and waits, and what nobody has begun, so that others
// can have it while the handlers finish. If they are done at once, the end of the channel gives it back, in one
// frame: of many, RabbitMQ keeps some until the queue has taken the others, and over a channel that ends
// meanwhile those count as failed. Where giving back costs a delivery, what is not begun is finished
// instead, or left to the end of the channel, which keeps the order.
func (f *feed) giveBack(idle <-chan struct{}) {
	waiting := f.later.close()
	sub := f.latestSubscription()
	kept := sub == nil || f.c.cfg.autoAck || f.c.offsets.IsStream() || sub.known.counts
	atOnce := !kept && endsWithin(idle, min(together, f.c.cfg.stopTimeout/2))
	for _, h := range waiting {
		if atOnce && h.way != failed {
			f.c.note(h.d, ErrRequeue, h.d.Stale())
			continue
		}
		f.c.giveBack(h, ErrRequeue)
	}
	if kept || atOnce {
		return
	}
	for d, _ := sub.consumer.TryReceive(); d != nil; d, _ = sub.consumer.TryReceive() {
		_ = d.Nack(true) // stale: it is back already
	}
}

func endsWithin(idle <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-idle:
		return true
	case <-t.C:
		return false
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

// leave ends what the feed holds of its connection.
func (f *feed) leave() {
	if err := f.failure(); err != nil && !errors.Is(err, core.ErrClosed) {
		f.member.Ended(err)
	} else {
		f.member.Leave()
	}
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
	f.c.conn.Emit(recovery.Event{Kind: recovery.EventHandlerFailed, Entity: f.c.cfg.name, Err: err})
}
