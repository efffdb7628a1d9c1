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
	"github.com/warren-mq/warren/internal/offsets"
	"github.com/warren-mq/warren/internal/session"
)

// Consumer consumes one queue. Start it once, with [Consumer.Start],
// [Consumer.Run] or [Consumer.All]; it goes on across outages until it is
// stopped.
//
// It counts from when it is made: until it is subscribed its connection is not
// ready. One that ended by itself stays in the connection's state as degraded,
// until it is stopped, or another one of the same name is made.
type Consumer struct {
	conn   *session.Connection
	member *session.Member
	queue  atomic.Pointer[string] // its latest name that was seen
	cfg    config

	offsets  *offsets.Offsets // of a stream
	failures atomic.Int64     // of handlers, in a row
	counters counters
	stop     chan struct{}  // closed by Stop
	hurries  chan time.Time // capacity 1: when a stop must be over
	stopOnce sync.Once
	done     chan struct{} // closed when it has ended
	late     error         // ErrHandlers, or nil; written before done is closed
	err      error         // why it ended; written before done is closed
	started  atomic.Bool
	handled  bool // by a handler, whose result is the end of a delivery; written by start
}

// Errors of this package.
var (
	// ErrStarted: a consumer is started once.
	ErrStarted = errors.New("consumer: already started; make another one")
	// ErrStopped is the cause with which handlers' contexts end when they did
	// not finish within [StopTimeout].
	ErrStopped = errors.New("consumer: stopped")
	// ErrHandlers: the consumer has stopped, but handlers are still running, or
	// the loop over [Consumer.All] is at a delivery.
	ErrHandlers = errors.New("consumer: handlers still running after the stop timeout")
)

// New returns a consumer of queue on conn. The error is about the options.
func New(conn *session.Connection, queue string, opts ...Option) (*Consumer, error) {
	cfg, err := newConfig(queue, opts)
	if err != nil {
		return nil, fmt.Errorf("consumer: %w", err)
	}
	c := &Consumer{conn: conn, cfg: cfg, stop: make(chan struct{}), hurries: make(chan time.Time, 1), done: make(chan struct{})}
	c.queue.Store(&queue)
	c.offsets = offsets.New()
	c.member = conn.Join(cfg.name, nil)
	return c, nil
}

// Run is [Consumer.Start], and waits until the consumer has ended. It returns
// nil when ctx ended or [Consumer.Stop] was called, [ErrHandlers] if handlers
// did not finish then, and otherwise the error of Start, or why the connection
// was closed.
func (c *Consumer) Run(ctx context.Context, handle Handler) error {
	if _, err := c.begin(ctx, handle); err != nil {
		return err
	}
	<-c.done
	return c.err
}

// Start starts to consume with handle, and returns nil once the broker has
// taken the subscription. The consumer goes on until ctx ends or
// [Consumer.Stop] is called, and then stops in order: no new message is begun,
// running handlers finish and their acks are written, what was prefetched goes
// back to the queue. With [AutoAck] nothing goes back: what has arrived is
// handled too, within [StopTimeout]; the rest counts as
// [Stats.Dropped]. [Consumer.Done] and [Consumer.Err] tell of the end.
//
// It returns an error, and the consumer has ended, when the broker refuses the
// first subscription (an unknown queue: [core.ErrNotFound]), the connection has
// no channel left for it ([core.ErrChannelsExhausted]), or is closed, and when
// ctx ends or Stop is called before. During an outage it waits for the
// connection. Once it has consumed, it never gives up: losses are reported as
// events and in the connection's state.
func (c *Consumer) Start(ctx context.Context, handle Handler) error {
	f, err := c.begin(ctx, handle)
	if err != nil {
		return err
	}
	select {
	case <-f.subscribed:
		return nil
	case <-c.done:
	}
	if f.consumed.Load() {
		return nil
	}
	return f.cause()
}

var errNoHandler = &core.ValidationError{Method: "basic.consume", Err: errors.New("the handler is nil")}

// begin starts the feed, and workers that handle what it brings.
func (c *Consumer) begin(ctx context.Context, handle Handler) (*feed, error) {
	if handle == nil {
		return nil, errNoHandler
	}
	f, err := c.start(ctx, true)
	if err != nil {
		return nil, err
	}
	var workers sync.WaitGroup
	for range c.cfg.workers {
		workers.Go(func() { c.runWorker(f, &workers, handle, inHand{}) })
	}
	idle := make(chan struct{})
	go runClose(&workers, idle)
	go c.runFinish(f, idle, abortTimeout)
	return f, nil
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
//
// A loop that does not ask for the next delivery within [StopTimeout] of the stop is not waited
// for: its channel is closed. So the loop itself must not wait for Stop, nor
// for the client's Close or Drain, which wait for the loop: it breaks instead.
func (c *Consumer) All(ctx context.Context) iter.Seq2[*core.Delivery, error] {
	return func(yield func(*core.Delivery, error) bool) {
		f, err := c.start(ctx, false)
		if err != nil {
			yield(nil, err)
			return
		}
		left := make(chan struct{})
		leave := sync.OnceFunc(func() { close(left) })
		go c.runFinish(f, left, 0)
		defer func() { <-c.done }()
		defer leave()
		for {
			h, err := f.next()
			d := h.d
			if err != nil {
				leave()
				yield(nil, err)
				return
			}
			offset, counts := c.offset(d) // the loop may release it
			if !yield(d, nil) {
				return
			}
			if counts {
				c.offsets.Settled(offset)
			}
		}
	}
}

// start starts the feed.
func (c *Consumer) start(ctx context.Context, handled bool) (*feed, error) {
	if c.started.Swap(true) {
		return nil, c.startError()
	}
	c.handled = handled
	f := newFeed(c, ctx)
	go f.runFeed()
	go f.runStop(c.stop)
	return f, nil
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

// Done is closed when the consumer has ended.
func (c *Consumer) Done() <-chan struct{} { return c.done }

// Err returns nil until Done, then why the consumer ended: nil if it was
// stopped, [ErrHandlers] if handlers did not finish then.
func (c *Consumer) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Tag returns the consumer tag.
func (c *Consumer) Tag() string { return c.cfg.tag }

// Queue returns the present name of the queue.
func (c *Consumer) Queue() string { return c.conn.Resolve(*c.queue.Load()) }

// follow notes the present name of the queue, and returns it: a queue that the broker
// names has another one on each connection, and is not known by all of them for ever.
func (c *Consumer) follow() string {
	name := c.Queue()
	c.queue.Store(&name)
	return name
}
