package consumer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/hook"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// Handler processes one delivery. Its result settles the delivery on the
// channel that brought it:
//
//   - nil: ack
//   - an error that is [ErrReject]: reject, to the dead-letter exchange if the queue has one, else gone
//   - an error that is [ErrRequeue]: back to the queue, at once if it is new there, else after a pause, see
//     [RequeuePause]; RabbitMQ 4.3 does not count it as a failed delivery
//   - another error, or a panic: the message is tried again after a pause. It goes back to the queue as
//     a failed delivery, which quorum queues count: beyond their limit they dead-letter the message, or drop it. A classic
//     queue does not count: what comes back to it a second time stays here and its handler is called again, for up
//     to ten minutes. So does a message of a quorum queue that was declared by this client without a dead-letter exchange when
//     half of its limit is spent, since beyond it is nothing.
//
// A handler may settle the delivery itself; its result then means nothing, and
// only a panic, or [ErrExited], is still reported.
//
// ctx ends when the channel dies, with the cause: the message will be
// delivered again, and whatever the handler does for it may be done twice.
type Handler func(ctx context.Context, d *core.Delivery) error

// Results of a [Handler], to be returned as they are or wrapped.
var (
	// ErrReject: the message is bad, and will be no better next time.
	ErrReject = errors.New("consumer: reject")
	// ErrRequeue: not this handler's failure; somebody else shall have it.
	ErrRequeue = errors.New("consumer: requeue")
)

// ErrExited is the failure of a handler that ended its goroutine instead of
// returning: with runtime.Goexit, as FailNow of package testing does. Another
// goroutine takes its place.
var ErrExited = fmt.Errorf("consumer: handler: %w", hook.ErrExited)

// PanicError is a handler's panic.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns the value that was panicked with.
func (e *PanicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// inHand is a delivery, the context of its handler, and how often that has failed since it came.
type inHand struct {
	d     *core.Delivery
	ctx   context.Context
	tries int
}

// runWorker handles deliveries one after another. A handler may end its
// goroutine: then another worker follows, which settles what it left first.
func (c *Consumer) runWorker(f *feed, workers *sync.WaitGroup, handle Handler, left inHand) {
	at, done := left, false
	defer func() {
		if !done {
			workers.Go(func() { c.runWorker(f, workers, handle, at) })
		}
	}()
	if left.d != nil {
		c.conclude(f, left, handle, ErrExited)
	}
	for {
		h, err := f.next()
		if err != nil {
			done = true
			return
		}
		at = h
		if !c.cfg.autoAck && h.d.Stale() != nil { // died between the inbox and here
			c.counters.stale.Add(1)
			continue
		}
		c.handle(f, h, handle)
	}
}

// handle handles and settles one delivery.
func (c *Consumer) handle(f *feed, h inHand, handle Handler) {
	if c.cfg.warnAfter > 0 {
		// Deliveries come to their handlers in order, so none of those that wait is older.
		defer time.AfterFunc(c.cfg.warnAfter-h.d.Age(), c.warn).Stop()
	}
	c.conclude(f, h, handle, c.call(h.ctx, h.d, handle))
}

// conclude settles a delivery by what its handler returned. One of a stream is handled until that is possible.
func (c *Consumer) conclude(f *feed, h inHand, handle Handler, result error) {
	if _, ok := c.offset(h.d); ok {
		result = c.repeat(h.ctx, f, h.d, handle, result)
	}
	c.settle(f, h, result)
}

// call calls the handler once.
func (c *Consumer) call(ctx context.Context, d *core.Delivery, handle Handler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	if c.cfg.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.cfg.timeout, core.ErrTimeout)
		defer cancel()
	}
	return handle(ctx, d)
}

// warn tells of a delivery that is not settled for long.
func (c *Consumer) warn() {
	c.conn.Emit(recovery.Event{Kind: recovery.EventHandlerSlow, Entity: c.cfg.name, Delay: c.cfg.warnAfter})
}

// settle settles a delivery as the handler's result says, or holds it until it is time to.
func (c *Consumer) settle(f *feed, h inHand, result error) {
	d := h.d
	if c.cfg.autoAck || d.Settled() {
		c.meaningless(f, d, result)
		return
	}
	switch {
	case result == nil:
		c.failures.Store(0)
		c.note(d, result, d.Ack())
	case errors.Is(result, ErrReject):
		c.note(d, result, d.Reject(false))
	case errors.Is(result, ErrRequeue):
		c.putOff(f, h, result, back, f.knowledge().afterRequeue(pastOf(d, h.tries), c.cfg.minPause, c.cfg.maxPause))
	case d.Stale() != nil: // it comes again: not the handler's failure
		c.note(d, result, core.ErrStale)
	case errors.Is(context.Cause(h.ctx), ErrStopped): // it was not given the time
		c.putOff(f, h, result, back, 0)
	default:
		f.report(result)
		known, past := f.knowledge(), pastOf(d, h.tries)
		f.warnCounted(known, past)
		w, pause := known.afterFailure(past, d.Age(), c.cfg.minPause, c.cfg.maxPause)
		c.putOff(f, h, result, w, pause)
	}
}

// putOff has a delivery tried again after a pause, in which it occupies no worker. A consumer that stops gives it
// back at once, but not before the broker sends no more: it would come again and again until then.
func (c *Consumer) putOff(f *feed, h inHand, result error, w way, pause time.Duration) {
	if _, ok := c.offset(h.d); ok {
		w, pause = back, 0 // a stream gives nothing again; it was handled as often as could be
	}
	if pause > 0 {
		h.tries++
		if f.later.put(h, w, pause) {
			f.changeSlots()
			return
		}
	}
	c.giveBack(held{inHand: h, way: w}, result)
}

// giveBack gives a delivery back to its queue.
func (c *Consumer) giveBack(h held, result error) {
	if h.way == failed {
		c.note(h.d, result, h.d.Reject(true))
		return
	}
	c.note(h.d, result, h.d.Nack(true))
}

// note counts a handler's result, and what became of settling its delivery.
func (c *Consumer) note(d *core.Delivery, result, err error) {
	if errors.Is(err, core.ErrStale) {
		c.conn.Tally(recovery.Tally{StaleAcks: 1})
	}
	c.counters.note(result, err)
	if err == nil && (result == nil || errors.Is(result, ErrReject)) || errors.Is(err, core.ErrSettled) {
		c.settled(d)
	}
}

// meaningless takes the result of a handler whose delivery needs no settling:
// the broker does not wait for it, or the handler has settled it.
func (c *Consumer) meaningless(f *feed, d *core.Delivery, result error) {
	if _, panicked := errs.AsType[*PanicError](result); panicked || errors.Is(result, ErrExited) {
		f.report(result)
	}
	if c.cfg.autoAck {
		c.counters.note(result, nil)
		return
	}
	c.settled(d)
}

// rest pauses after a failure at a message of a stream; not while stopping, and not longer than the channel lives.
func (c *Consumer) rest(ctx context.Context, f *feed) {
	t := time.NewTimer(backoff.After(c.failures.Add(1), c.cfg.minPause, c.cfg.maxPause))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-f.ctx.Done():
	}
}

// warn tells of workers that have nothing to do, and of a queue that drops what fails.
func (f *feed) warn(k knowledge) {
	if c := f.c.cfg; c.sized && c.workers > c.prefetch && !c.autoAck {
		f.c.conn.Emit(recovery.Event{Kind: recovery.EventWarning, Entity: c.name, Count: 1, Err: fmt.Errorf(
			"of %d workers no more than %d ever have something to do: the broker sends no more ahead of their acks; raise the prefetch", c.workers, c.prefetch)})
	}
	if !k.drops {
		return
	}
	f.c.conn.Emit(recovery.Event{Kind: recovery.EventFailuresDropped, Entity: f.c.cfg.name, Name: f.c.Queue(), Err: fmt.Errorf(
		"queue %q drops for good what comes back from its consumers as failed more than %d times: declare it with topology.DeadLetter, "+
			"or with topology.DeliveryLimit(-1) if that must never happen", f.c.Queue(), k.limit)})
}

// warnCounted tells, once, that a message of a queue that others have declared has come half of the way to the usual
// limit: whether that ends in nothing is not known here.
func (f *feed) warnCounted(k knowledge, p past) {
	if k.declared || p.counted < topology.DefaultDeliveryLimit/2 || f.warned.Swap(true) {
		return
	}
	f.c.conn.Emit(recovery.Event{Kind: recovery.EventFailuresDropped, Entity: f.c.cfg.name, Name: f.c.Queue(), Err: fmt.Errorf(
		"a message of queue %q has failed %d times: beyond its delivery limit (%d unless set, since RabbitMQ 4.0) the queue drops it for good, "+
			"unless it was declared with a dead-letter exchange", f.c.Queue(), p.counted+1, topology.DefaultDeliveryLimit)})
}
