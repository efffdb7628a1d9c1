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

	dead    atomic.Bool // err is set, to look at without the lock
	replies atomic.Bool // a consumer of direct replies was asked for

	mu           sync.Mutex // guards the following; taken before the outbox's
	err          error      // why it died; nil while it lives
	closing      bool       // channel.close or its answer was sent: nothing may follow
	serverClosed bool       // the server closed it
	paused       bool       // the server asked for no publishes (channel.flow)
	calls        []*pending // RPCs in flight, oldest first
	progress     time.Time  // when the last reply came
	mode         mode
	confirms     confirms
	unmarked     bool          // returns of publishes from before confirm mode may come
	streaming    bool          // a large body is on its way: nothing else may be sent
	committing   bool          // tx.commit is not answered: nothing but a close may be sent
	deferred     []wire.Method // answers to the server that wait for that
	changed      gate.Gate     // streaming moved or ended, a confirm came, or the channel died
	consumers    map[string]*Consumer
	givenUp      []string // tags of automatic-ack consumers whose deliveries may be under way, oldest first
	prefetch     prefetch
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
	r, err := ch.request(ctx, &wire.ChannelOpen{})
	if err != nil { // not sent: the server knows of no channel that it could close
		ch.die(err, 0)
		c.free(ch)
		return nil, err
	}
	if _, err := r.Wait(ctx); err != nil {
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
		conn: c, id: id, acks: newAcks(id, c.givesBack), done: make(chan struct{}),
		consumers: map[string]*Consumer{},
		in:        assembly{assembler: newAssembler(c.cfg.MaxBody, &c.recycled)},
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
// the broker's answer. Messages not yet acked go back to their queues, as
// nacked where RabbitMQ (4.0 on) then does not count them as failed; publishes without a verdict end as [OutcomeUnknown]. Closing a dead channel does
// nothing and returns nil.
func (ch *Channel) Close(ctx context.Context) error {
	if ch.dead.Load() {
		<-ch.done
		return nil
	}
	_, err := call[*wire.ChannelCloseOk](ctx, ch, &wire.ChannelClose{ReplyCode: 200})
	if err == nil || (ch.dead.Load() && !errors.Is(err, ErrTimeout)) { // or it died first
		<-ch.done
		return nil
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
			ch.sendCloseLocked(cause)
		}
	}
	ch.end(cause, math.MaxUint64) // in the same step: nothing may meet a channel that closes and lives
}

// sendCloseLocked tells the server that the channel was given up.
func (ch *Channel) sendCloseLocked(cause error) {
	m := &wire.ChannelClose{ReplyCode: 200, ReplyText: "given up"}
	if e := AsError(cause); e != nil && !e.Server {
		m.ReplyCode, m.ReplyText = uint16(e.Code), clip(e.Text, 255)
	}
	// An error means that the connection is dead, which frees the id as well.
	_ = ch.conn.out.closing(ch.farewellLocked(), m, because(ErrStale, cause))
}

// farewellLocked returns what precedes the channel's close.
func (ch *Channel) farewellLocked() farewell {
	f := farewell{acks: ch.acks}
	if !ch.conn.givesBack {
		return f
	}
	for c := range ch.startingLocked() {
		if !c.noAck && c.tag != "" {
			f.cancel = append(f.cancel, c.tag)
		}
	}
	for _, c := range ch.consumers {
		if !c.noAck {
			f.cancel = append(f.cancel, c.tag)
		}
	}
	return f
}

func (ch *Channel) lockedFarewell() farewell {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.farewellLocked()
}

// die ends the channel. sent is how many bytes of the data stream count as
// handed to the socket: see [OutcomeNotSent].
func (ch *Channel) die(cause error, sent uint64) {
	ch.mu.Lock()
	ch.end(cause, sent)
}

// end is die with the lock held, which it releases.
func (ch *Channel) end(cause error, sent uint64) {
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
	failCalls(calls, cause)
	for _, v := range verdicts {
		v.settler.Settle(v.verdict)
	}
	close(ch.done)
}
