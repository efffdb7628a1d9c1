package consumer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/hook"
	"github.com/warren-mq/warren/recovery"
)

// Handler processes one delivery. Its result settles the delivery on the
// channel that brought it:
//
//   - nil: ack
//   - an error that is [ErrReject]: reject, to the dead-letter exchange if the queue has one, else gone
//   - an error that is [ErrRequeue]: back to the queue at once
//   - another error, a panic, or [ErrExited]: back to the queue after a pause, see [RequeuePause]
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
	// ErrRequeue: somebody else shall have it, now.
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

// inHand is a delivery, and the context of its handler.
type inHand struct {
	d   *core.Delivery
	ctx context.Context
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
		c.conclude(left.ctx, f, left.d, handle, ErrExited)
	}
	for {
		d, ctx, err := f.next()
		if err != nil {
			done = true
			return
		}
		at = inHand{d, ctx}
		if !c.cfg.autoAck && d.Stale() != nil { // died between the inbox and here
			c.counters.stale.Add(1)
			continue
		}
		c.handle(ctx, f, d, handle)
	}
}

// handle handles and settles one delivery.
func (c *Consumer) handle(ctx context.Context, f *feed, d *core.Delivery, handle Handler) {
	if c.cfg.warnAfter > 0 {
		// Deliveries come to their handlers in order, so none of those that wait is older.
		defer time.AfterFunc(c.cfg.warnAfter-d.Age(), c.warn).Stop()
	}
	c.conclude(ctx, f, d, handle, c.call(ctx, d, handle))
}

// conclude settles a delivery by what its handler returned. One of a stream is handled until that is possible.
func (c *Consumer) conclude(ctx context.Context, f *feed, d *core.Delivery, handle Handler, result error) {
	if c.offsets != nil {
		result = c.repeat(ctx, f, d, handle, result)
	}
	c.settle(ctx, f, d, result)
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
	c.conn.Emit(recovery.Event{Kind: recovery.HandlerSlow, Entity: c.cfg.name, Delay: c.cfg.warnAfter})
}

// settle settles d as the handler's result says.
func (c *Consumer) settle(ctx context.Context, f *feed, d *core.Delivery, result error) {
	if c.cfg.autoAck || d.Settled() {
		c.meaningless(f, d, result)
		return
	}
	var err error
	switch {
	case result == nil:
		c.failures.Store(0)
		err = d.Ack()
	case errors.Is(result, ErrReject):
		err = d.Reject(false)
	case errors.Is(result, ErrRequeue):
		err = d.Nack(true)
	case d.Stale() != nil: // it comes again: not the handler's failure
		err = core.ErrStale
	default:
		f.report(result)
		c.rest(ctx, f)
		err = d.Nack(true)
	}
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
	if _, panicked := errors.AsType[*PanicError](result); panicked || errors.Is(result, ErrExited) {
		f.report(result)
	}
	if c.cfg.autoAck {
		c.counters.note(result, nil)
		return
	}
	c.settled(d)
}

// pauseAfter returns the pause after so many failures in a row.
func pauseAfter(failures int64, first, limit time.Duration) time.Duration {
	pause := first
	for ; failures > 1 && pause < limit; failures-- {
		pause = min(2*pause, limit)
	}
	return pause
}

// rest pauses after a failure, so that a message that fails at once does not
// go round and round; not while stopping, and not longer than the channel lives.
func (c *Consumer) rest(ctx context.Context, f *feed) {
	t := time.NewTimer(pauseAfter(c.failures.Add(1), c.cfg.minPause, c.cfg.maxPause))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-f.ctx.Done():
	}
}
