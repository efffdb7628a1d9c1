package consumer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/recovery"
)

// Consumer consumes one queue. Start it once, with [Consumer.Run] or
// [Consumer.All]; it goes on across outages until it is stopped.
type Consumer struct {
	conn  *recovery.Connection
	queue string
	cfg   config

	offsets  *offsets     // of a stream; nil: it is none
	failures atomic.Int64 // of handlers, in a row
	counters counters
	stop     chan struct{} // closed by Stop
	stopOnce sync.Once
	done     chan struct{} // closed when Run or All has ended
	started  atomic.Bool
}

// Errors of this package.
var (
	// ErrStarted: a consumer is started once.
	ErrStarted = errors.New("consumer: already started; make another one")
	// ErrStopped is the cause with which handlers' contexts end when they did
	// not finish within [StopTimeout].
	ErrStopped = errors.New("consumer: stopped")
	// ErrHandlers: the consumer has stopped, but handlers are still running.
	ErrHandlers = errors.New("consumer: handlers still running after the stop timeout")
)

// New returns a consumer of queue on conn. The error is about the options.
func New(conn *recovery.Connection, queue string, opts ...Option) (*Consumer, error) {
	cfg, err := newConfig(queue, opts)
	if err != nil {
		return nil, fmt.Errorf("consumer: %w", err)
	}
	c := &Consumer{conn: conn, queue: queue, cfg: cfg, stop: make(chan struct{}), done: make(chan struct{})}
	if cfg.from != nil {
		c.offsets = newOffsets()
	}
	return c, nil
}

// Run consumes with handle until ctx ends or [Consumer.Stop] is called, and
// then stops in order: no new message is begun, running handlers finish and
// their acks are written, what was prefetched goes back to the queue. It then
// returns nil, or [ErrHandlers] if handlers did not finish.
//
// It returns an error as soon as the broker refuses the first subscription (an
// unknown queue: [core.ErrNotFound]), or when the connection is closed. Once
// it has consumed, it never gives up: losses are reported as events and in the
// connection's state.
func (c *Consumer) Run(ctx context.Context, handle Handler) error {
	f, ctx, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer close(c.done)
	defer f.release()
	var workers sync.WaitGroup
	for range c.cfg.workers {
		workers.Go(func() { c.runWorker(ctx, f, handle) })
	}
	idle := make(chan struct{})
	go runClose(&workers, idle)
	// 1st: until it is stopped, or the feed ends by itself.
	select {
	case <-ctx.Done():
	case <-f.done:
	}
	// 2nd: no more deliveries, and a bound for the handlers.
	f.cancel()
	err = c.finish(f, idle)
	// 3rd: acks first, then the channel; what is left on it goes back to the queue.
	f.close()
	return errors.Join(f.failure(), err)
}

// finish waits for the handlers.
func (c *Consumer) finish(f *feed, idle <-chan struct{}) error {
	bound := time.NewTimer(c.cfg.stopTimeout)
	defer bound.Stop()
	select {
	case <-idle:
		return nil
	case <-bound.C:
	}
	f.abort(ErrStopped)
	bound.Reset(abortTimeout)
	select {
	case <-idle:
		return nil
	case <-bound.C:
		return ErrHandlers
	}
}

// abortTimeout is how long a handler may take to notice that its context has ended.
const abortTimeout = time.Second

func runClose(workers *sync.WaitGroup, idle chan<- struct{}) {
	workers.Wait()
	close(idle)
}

// All yields deliveries across outages until ctx ends, [Consumer.Stop] is
// called, the loop breaks, or the consumer fails as in [Consumer.Run]. The
// last pair then has no delivery, and the reason. Settle each delivery with
// its methods; one that went stale returns [core.ErrStale] and comes again. One
// of a stream counts as settled when the loop asks for the next.
func (c *Consumer) All(ctx context.Context) iter.Seq2[*core.Delivery, error] {
	return func(yield func(*core.Delivery, error) bool) {
		f, ctx, err := c.start(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer close(c.done)
		defer f.release()
		defer f.close()
		for {
			d, _, err := f.next(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			offset, counts := c.offset(d) // the loop may release it
			if !yield(d, nil) {
				return
			}
			if counts {
				c.offsets.settled(offset)
			}
		}
	}
}

// start starts the feed. The returned context ends with ctx, or with Stop.
func (c *Consumer) start(ctx context.Context) (*feed, context.Context, error) {
	if c.started.Swap(true) {
		return nil, nil, c.startError()
	}
	f := newFeed(c, ctx)
	go f.runFeed()
	go f.runStop(c.stop)
	return f, f.ctx, nil
}

// startError says why the consumer cannot be started.
func (c *Consumer) startError() error {
	select {
	case <-c.stop:
		return ErrStopped
	default:
		return ErrStarted
	}
}

// Stop stops the consumer as the end of its context does, and waits for it
// within ctx. A consumer that was not started never will be.
func (c *Consumer) Stop(ctx context.Context) error {
	c.stopOnce.Do(func() { close(c.stop) })
	if !c.started.Swap(true) {
		close(c.done)
	}
	return gate.Await(ctx, c.done)
}

// Done is closed when the consumer has ended.
func (c *Consumer) Done() <-chan struct{} { return c.done }

// Tag returns the consumer tag.
func (c *Consumer) Tag() string { return c.cfg.tag }

// Queue returns the present name of the queue.
func (c *Consumer) Queue() string { return c.conn.Resolve(c.queue) }
