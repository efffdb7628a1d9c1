// Package channel is the imperative way to use AMQP: a logical channel with every method of the protocol, which
// outlives any number of physical ones, and its consumers. A client opens them.
package channel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/internal/session"
)

// Channel is a logical AMQP channel: it has every method of [core.Channel],
// and outlives any number of physical ones. All methods are safe for
// concurrent use.
//
// When the broker closes the physical channel over an error, the call that
// caused it gets that error, and a new one is opened at once, with qos, mode,
// consumers and listener as they were. When the connection is lost, calls wait
// within their context for the next one. A call that was under way fails with
// the cause; it is not repeated, except where the broker closed the channel
// over another method and so is known to have ignored this one.
//
// What is declared is recorded in the client's topology once the broker has
// confirmed it, and what is deleted is forgotten. A queue name of "" stands
// for the queue declared last on this channel, also after a reopening; names
// that the broker chose and that have changed since are translated.
//
// Deliveries, and publishes without a verdict, belong to the physical channel:
// settling a delivery of one that is gone writes nothing and returns
// [core.ErrStale]. A transaction ends with its physical channel: see [ErrTxLost].
//
// A channel that the broker closes again and again is reopened ever more
// slowly, up to every 10 s.
type Channel struct {
	conn *session.Connection
	name string
	ctx  context.Context // ends with Close, or with the connection
	stop context.CancelCauseFunc
	poke chan struct{} // capacity 1: look at the consumers
	turn chan struct{} // capacity 1: taken by what depends on the qos in force
	done chan struct{} // closed when its goroutine has ended

	onReturn atomic.Pointer[func(*core.Return)]

	mu        sync.Mutex                 // guards the following; taken before the connection's
	physical  *core.Channel              // nil: being opened
	opened    bool                       // there was one
	cause     error                      // why the last one was lost
	err       error                      // why it is closed
	modes     modes                      // what a new physical channel must be put into
	tx        *core.Channel              // where the transaction runs from its very begin, since acks are not seen; nil: the next one
	consumers []*Consumer                // in the order in which they were started
	taken     map[string]bool            // consumer tags in use, or being asked for
	closing   error                      // of closing the last physical one; set before done is closed
	endings   map[string]*session.Member // consumers that ended by themselves, by tag, until another takes it
	lastQueue string                     // declared last
	epoch     uint64                     // of the last session
	member    *session.Member            // from the first consumer on
	changed   gate.Gate
}

// modes is how a physical channel must be set up. It is pure.
type modes struct {
	version int // changes with every change
	qos     core.BasicQos
	hasQos  bool
	global  core.BasicQos
	// hasGlobal is false also once the broker has refused it: RabbitMQ 4.3 can.
	hasGlobal bool
	confirm   bool
	tx        bool
}

// ErrTxLost: the transaction ended with the physical channel that it had
// begun on, and the broker rolled it back, publishes and acks. It had begun
// where the one before had ended, whether anything was done in it or not.
// Begin again.
var ErrTxLost = errors.New("channel: the transaction was lost with its channel and rolled back")

// Open opens a channel on conn. It waits for a connection within ctx.
// Errors: [core.ErrChannelsExhausted], why the connection is closed, the end of ctx
// with why there is no connection.
func Open(ctx context.Context, conn *session.Connection) (*Channel, error) {
	ch := &Channel{
		conn: conn,
		poke: make(chan struct{}, 1), turn: make(chan struct{}, 1), done: make(chan struct{}), taken: map[string]bool{}, endings: map[string]*session.Member{},
	}
	err := conn.Host(func(life context.Context, number int) (run, ended func()) {
		ch.name = fmt.Sprintf("channel %d", number)
		ch.ctx, ch.stop = context.WithCancelCause(life)
		return ch.runChannel, func() { close(ch.done) }
	})
	if err != nil {
		return nil, err
	}
	if _, err := ch.ready(ctx); err != nil {
		_ = ch.Close(ctx) // the first error counts
		return nil, err
	}
	return ch, nil
}

// ready returns the physical channel, fully set up, and waits for it within ctx.
func (ch *Channel) ready(ctx context.Context) (*core.Channel, error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for {
		switch {
		case ch.err != nil:
			return nil, ch.err
		case ctx.Err() != nil: // nothing is begun for a caller who has given up
		case ch.physical != nil && ch.physical.Err() == nil:
			return ch.physical, nil
		}
		cause, changed := ch.cause, ch.changed.Wait()
		ch.mu.Unlock()
		err := gate.Await(ctx, changed)
		ch.mu.Lock()
		if err != nil {
			if !ch.conn.Connected() {
				err = ch.conn.InVain(err)
			}
			return nil, waitedFor(err, cause)
		}
	}
}

// waitedFor says what was waited for when a context ended.
func waitedFor(err, cause error) error {
	if cause == nil {
		return err
	}
	return fmt.Errorf("%w, while the channel is opened again after: %w", err, cause)
}

// Close closes the channel for good, in whatever state it is. Its consumers
// end; messages not yet acked go back to their queues. When ctx ends, so does
// the waiting for the broker's answer, not the closing. It is safe to call again.
func (ch *Channel) Close(ctx context.Context) error {
	ch.end(core.ErrClosed)
	if err := gate.Await(ctx, ch.done); err != nil {
		return err
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.closing
}

// Done is closed when the channel is closed for good.
func (ch *Channel) Done() <-chan struct{} { return ch.ctx.Done() }

// Err returns nil until Done, then why the channel is closed.
func (ch *Channel) Err() error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.err == nil && ch.ctx.Err() != nil { // with the connection, which its goroutine has not noticed yet
		return context.Cause(ch.ctx)
	}
	return ch.err
}

// end closes the channel for good. Its goroutine ends soon after.
func (ch *Channel) end(cause error) {
	ch.mu.Lock()
	if ch.err != nil {
		ch.mu.Unlock()
		return
	}
	ch.err = cause
	consumers, member := slices.Clone(ch.consumers), ch.member
	ch.consumers = nil
	for tag := range ch.endings {
		ch.overcomeLocked(tag)
	}
	ch.changed.Wake()
	ch.mu.Unlock()
	ch.stop(cause)
	for _, c := range consumers {
		c.end(cause)
	}
	if member != nil {
		member.Leave()
	}
}
