package core

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/gate"
)

// Channel is one physical AMQP channel. It is opened by [Conn.Channel] and
// dies once, with one cause: closed by the application ([ErrClosed]), by the
// server ([*Error] with [ScopeChannel]), given up because an answer did not
// come ([ErrTimeout]), or with its connection. Its deliveries, confirms and
// consumers die with it; nothing of it ever comes back.
//
// All methods are safe for concurrent use by any number of goroutines. RPCs
// are answered in order, each caller with its own reply. When ctx ends during
// an RPC the call returns, and its late reply is discarded; a consumer that
// started that way is cancelled.
type Channel struct {
	conn *Conn
	id   uint16
	acks *acks
	done chan struct{}

	delivered atomic.Uint64 // highest delivery tag seen
	dead      atomic.Bool   // err is set, to look at without the lock

	mu           sync.Mutex // guards the following; taken before the outbox's
	err          error      // why it died; nil while it lives
	closing      bool       // channel.close or its answer was sent: nothing may follow
	serverClosed bool       // the server closed it
	paused       bool       // the server asked for no publishes (channel.flow)
	calls        []*pending // RPCs in flight, oldest first
	progress     time.Time  // when the last reply came
	mode         mode
	confirms     confirms
	streaming    bool      // a large body is on its way: nothing else may be sent
	changed      gate.Gate // streaming ended, a confirm came, or the channel died
	consumers    map[string]*Consumer
	prefetch     int // of consumers started from now on
	onReturn     func(*Return)

	in assembly // the reader's own
}

// mode is what kind of acknowledgement the channel's publishes get.
type mode uint8

const (
	modePlain mode = iota
	modeConfirm
	modeTx
)

// Channel opens a channel. Errors: [ErrChannelsExhausted], the connection's
// cause if it is dead, the end of ctx, [ErrTimeout].
func (c *Conn) Channel(ctx context.Context) (*Channel, error) {
	ch, err := c.newChannel()
	if err != nil {
		return nil, err
	}
	if _, err := call[*wire.ChannelOpenOk](ctx, ch, &wire.ChannelOpen{}); err != nil {
		ch.condemn(err)
		return nil, err
	}
	return ch, nil
}

func (c *Conn) newChannel() (*Channel, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return nil, c.cause
	}
	id, ok := c.ids.take()
	if !ok {
		return nil, fmt.Errorf("%w: the limit is %d", ErrChannelsExhausted, c.tuned.ChannelMax)
	}
	ch := &Channel{
		conn: c, id: id, acks: newAcks(), done: make(chan struct{}),
		consumers: map[string]*Consumer{},
		in:        assembly{assembler: newAssembler(c.cfg.MaxBody)},
	}
	c.slots[id].Store(ch)
	return ch, nil
}

// free gives the channel's id back.
func (c *Conn) free(ch *Channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots[ch.id].CompareAndSwap(ch, nil) {
		c.ids.free(ch.id)
	}
}

// ID returns the channel number.
func (ch *Channel) ID() uint16 { return ch.id }

// Conn returns the connection.
func (ch *Channel) Conn() *Conn { return ch.conn }

// Done is closed when the channel is dead and everything pending on it has its verdict.
func (ch *Channel) Done() <-chan struct{} { return ch.done }

// Err returns nil while the channel lives, then why it died.
func (ch *Channel) Err() error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.err
}

// Close closes the channel behind everything sent on it so far, and waits for
// the broker's answer. Messages not yet acked go back to their queues;
// publishes without a verdict end as [Unknown]. Closing a dead channel does
// nothing and returns nil.
func (ch *Channel) Close(ctx context.Context) error {
	_, err := call[*wire.ChannelCloseOk](ctx, ch, &wire.ChannelClose{ReplyCode: 200})
	switch {
	case err == nil:
		ch.die(ErrClosed, math.MaxUint64)
		return nil
	case ch.Err() != nil:
		return nil // dead already, or died first
	}
	ch.condemn(ErrClosed)
	return err
}

// condemn gives the channel up: it dies here and now, and the server is told.
// The id stays taken until the server has answered.
func (ch *Channel) condemn(cause error) {
	ch.mu.Lock()
	if ch.err == nil && !ch.closing {
		ch.closing = true
		if !ch.streaming { // else the end of the stream sends it
			ch.sendClose()
		}
	}
	ch.mu.Unlock()
	ch.die(cause, math.MaxUint64)
}

// sendClose tells the server that the channel was given up. The lock is held.
func (ch *Channel) sendClose() {
	// An error means that the connection is dead, which frees the id as well.
	_ = ch.conn.out.method(ch.id, ch.acks, &wire.ChannelClose{ReplyCode: 200, ReplyText: "given up"})
}

// die ends the channel. sent is how many bytes of the data stream count as
// handed to the socket: see [NotSent].
func (ch *Channel) die(cause error, sent uint64) {
	ch.mu.Lock()
	if ch.err != nil {
		ch.mu.Unlock()
		return
	}
	ch.err = cause
	ch.dead.Store(true)
	calls, consumers := ch.calls, ch.consumers
	ch.calls, ch.consumers = nil, nil
	verdicts := ch.confirms.drain(nil, sent, cause)
	ch.changed.Wake()
	ch.mu.Unlock()
	ch.acks.close(because(ErrStale, cause))
	for _, c := range consumers {
		c.end(cause, true)
	}
	for _, p := range calls {
		p.fail(cause)
	}
	for _, v := range verdicts {
		v.settler.Settle(v.verdict)
	}
	close(ch.done)
}

// Reply is an answer that is still to come.
type Reply struct {
	ch *Channel
	p  *pending
}

// Request sends a method that the broker answers, without waiting: several
// may be in flight, and their replies come in order. If the broker refuses
// one it closes the channel, so the first Wait that fails names the culprit.
//
// It is what the typed methods are made of; they wait. NoWait must not be set.
// Use the typed methods for basic.consume, basic.get and the modes.
func (ch *Channel) Request(ctx context.Context, m wire.Method) (*Reply, error) {
	p := newPending(m.ID())
	if err := ch.send(ctx, m, p); err != nil {
		return nil, err
	}
	return &Reply{ch, p}, nil
}

// Wait returns the reply, or why there is none: the channel's death, the end
// of ctx, or [ErrTimeout] when the broker has answered nothing on this channel
// for [Config.RPCTimeout]; the channel is then given up, since an answer that
// comes later could no longer be told from the next one's.
func (r *Reply) Wait(ctx context.Context) (wire.Method, error) {
	limit := r.ch.conn.cfg.RPCTimeout
	for left := limit; left > 0; left = limit - time.Since(r.ch.lastProgress(r.p.sent)) {
		m, expired, err := r.p.wait(ctx, left)
		if !expired {
			if ctx.Err() != nil {
				r.ch.orphan(r.p)
			}
			return m, err
		}
	}
	err := errNoAnswer(r.p.request, limit)
	r.ch.condemn(err)
	return nil, err
}

// orphan notes that nobody waits for p any more: see [Channel] on the end of ctx.
func (ch *Channel) orphan(p *pending) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	p.orphan = true
}

func (ch *Channel) lastProgress(sent time.Time) time.Time {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.progress.After(sent) {
		return ch.progress
	}
	return sent
}

// send appends m to the outbox, and p, unless nil, to the RPCs in flight.
func (ch *Channel) send(ctx context.Context, m wire.Method, p *pending) error {
	if err := ch.lockToSend(ctx); err != nil {
		return err
	}
	defer ch.mu.Unlock()
	if err := ch.conn.out.method(ch.id, ch.acks, m); err != nil {
		return invalid(m.ID(), err)
	}
	if p != nil {
		ch.calls = append(ch.calls, p)
	}
	if m.ID() == wire.MethodChannelClose {
		ch.closing = true
	}
	return nil
}

// lockToSend locks the channel when it may send: alive, and not in the middle
// of a content.
func (ch *Channel) lockToSend(ctx context.Context) error {
	for {
		ch.mu.Lock()
		switch {
		case ch.err != nil:
			defer ch.mu.Unlock()
			return ch.err
		case ch.closing:
			defer ch.mu.Unlock()
			return ErrClosed
		case !ch.streaming:
			return nil
		}
		changed := ch.changed.Wait()
		ch.mu.Unlock()
		if err := gate.Await(ctx, changed); err != nil {
			return err
		}
	}
}

// call sends a request and waits for its reply.
func call[R wire.Method](ctx context.Context, ch *Channel, m wire.Method) (R, error) {
	var none R
	r, err := ch.Request(ctx, m)
	if err != nil {
		return none, err
	}
	reply, err := r.Wait(ctx)
	if err != nil {
		return none, err
	}
	return reply.(R), nil // the reader checked that it answers this request
}

// invalid wraps an encoding error; others pass.
func invalid(id wire.MethodID, err error) error {
	if _, ok := errors.AsType[*wire.FieldError](err); ok {
		return &ValidationError{Method: id.String(), Err: err}
	}
	return err
}

func errNoAnswer(id wire.MethodID, limit time.Duration) error {
	return fmt.Errorf("%w: %s was not answered within %s", ErrTimeout, id, limit)
}
