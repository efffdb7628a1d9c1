package core

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/gate"
)

// Conn is one physical AMQP connection. It is born by [Dial] and dies once,
// with one cause: closed by the application ([ErrClosed]), by the server
// ([*Error]), for silence ([ErrSilent]), because the server takes no bytes
// ([ErrTimeout]), or by the network ([ErrLost]). Its channels die with it, with
// the same cause. All methods are safe for concurrent use.
type Conn struct {
	cfg    Config
	nc     net.Conn
	link   link
	server Server
	tuned  Tuned

	out        *outbox
	givesBack  bool                      // see acks.appendGiveBack
	slots      []atomic.Pointer[Channel] // by channel id
	flushed    atomic.Uint64             // data bytes that the socket has taken
	counts     traffic
	strays     atomic.Uint64 // deliveries requeued because they belong to no consumer
	dropped    atomic.Uint64 // automatic-ack deliveries dropped for the same reason
	ignored    atomic.Uint64 // see Stats
	trailing   atomic.Uint64 // the decoder's count, as of the last read
	dying      chan struct{} // closed first: the socket is closed
	writerDone chan struct{} // closed when nothing is written any more
	done       chan struct{} // closed last: everything has ended

	mu      sync.Mutex // guards the following
	cause   error      // why it died or is being closed
	end     error      // why the socket was closed; cause may be the close before
	ids     idPool
	calls   []*pending // RPCs on channel 0, oldest first
	closing bool       // this side's close waits for the server's answer

	blockedMu sync.Mutex // guards the following, and the socket's write deadline
	isBlocked atomic.Bool
	reason    string
	unblocked gate.Gate

	recycled recycler
	in       inbound // the reader's own
	chunk    int     // the writer's own: how much one call is asked to take
}

func newConn(nc net.Conn, h *handshake) *Conn {
	c := &Conn{
		cfg: h.cfg, nc: nc, link: newLink(nc), server: h.server, tuned: h.tuned,
		chunk:      4 * minChunk,
		out:        newOutbox(h.cfg.WriteBuffer, h.tuned.FrameMax),
		slots:      make([]atomic.Pointer[Channel], int(h.tuned.ChannelMax)+1),
		dying:      make(chan struct{}),
		writerDone: make(chan struct{}),
		done:       make(chan struct{}),
		ids:        newIDPool(h.tuned.ChannelMax),
	}
	major, _ := h.server.Release()
	c.givesBack = major >= 4
	h.frames.counts = &c.counts
	h.frames.silent = 2 * h.tuned.Heartbeat
	h.frames.stall = max(time.Minute, 6*h.tuned.Heartbeat)
	c.in = inbound{born: time.Now(), frames: h.frames, dec: &h.dec}
	return c
}

// Server returns what the server said of itself. The tables are shared: do not change them.
func (c *Conn) Server() Server { return c.server }

// Tuned returns the negotiated limits.
func (c *Conn) Tuned() Tuned { return c.tuned }

// Has reports whether the server announced a capability, for example "basic.nack".
func (c *Conn) Has(capability string) bool {
	t, _ := c.server.Properties["capabilities"].(wire.Table)
	has, _ := t[capability].(bool)
	return has
}

// LocalAddr returns the socket's own address.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr returns the server's address.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Done is closed when the connection is dead and everything on it has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns nil while the connection lives, then why it died. It has no
// side effect; a peer that vanished is noticed by heartbeats, not by Err.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Blocked reports whether the broker has announced that it takes no more
// publishes from this connection (a memory or disk alarm), and its reason.
// Publishes then wait; acks and RPCs do not, but the broker may answer late.
func (c *Conn) Blocked() (reason string, blocked bool) {
	c.blockedMu.Lock()
	defer c.blockedMu.Unlock()
	return c.reason, c.isBlocked.Load()
}

func (c *Conn) setBlocked(reason string, blocked bool) {
	c.blockedMu.Lock()
	changed := c.isBlocked.Swap(blocked) != blocked
	c.reason = reason
	if !blocked {
		c.unblocked.Wake()
	}
	c.blockedMu.Unlock()
	c.armWrite() // of the write in progress: a blocking broker has stopped reading
	if changed && c.cfg.OnBlocked != nil {
		c.cfg.OnBlocked(printable(reason), blocked)
	}
}

// admit waits until publishes may be queued and less than limit is, or dead is
// closed.
func (c *Conn) admit(ctx context.Context, limit int64, dead <-chan struct{}) error {
	for c.isBlocked.Load() {
		c.blockedMu.Lock()
		if !c.isBlocked.Load() {
			c.blockedMu.Unlock()
			break
		}
		unblocked := c.unblocked.Wait()
		c.blockedMu.Unlock()
		if again, err := await(ctx, unblocked, dead); !again {
			return c.whileBlocked(err)
		}
	}
	return c.out.admit(ctx, limit, dead)
}

// whileBlocked adds to err, with which the waiting to publish ended, that the
// broker blocks, if so.
func (c *Conn) whileBlocked(err error) error {
	reason, blocked := c.Blocked()
	if err == nil || !blocked {
		return err
	}
	return fmt.Errorf("%w: %w: %q", err, ErrBlocked, reason)
}

// UpdateSecret replaces the credentials of the open connection, for example a
// token about to expire. reason is shown by the broker. (RabbitMQ extension.)
func (c *Conn) UpdateSecret(ctx context.Context, secret Secret, reason string) error {
	p, err := c.request(&wire.ConnectionUpdateSecret{NewSecret: wire.Secret(secret), Reason: reason})
	if err != nil {
		return err
	}
	_, err = p.wait(ctx, c.patience(c.cfg.RPCTimeout))
	return err
}

// request sends an RPC on channel 0.
func (c *Conn) request(m wire.Method) (*pending, error) {
	p := newPending(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return nil, c.cause
	}
	if err := c.out.method(0, nil, m); err != nil {
		return nil, invalid(m.ID(), err)
	}
	c.calls = append(c.calls, p)
	return p, nil
}

// Close ends the connection: what is queued is written, as long as it moves,
// then the closing handshake runs, within [Config.CloseTimeout]; ctx bounds it all. The socket is closed
// in any case. A nil error means that the server confirmed the end, and so read
// all that was queued; a connection that was lost first, or closed by the server,
// is an error. Publishes without a verdict end as [OutcomeUnknown]. Closing again, or
// what is dead already, waits for the end and returns nil: [Conn.Err] has the cause.
func (c *Conn) Close(ctx context.Context) error {
	return c.CloseWith(ctx, 200, "")
}

// CloseWith is [Conn.Close] with a reply code and text for the server's log.
func (c *Conn) CloseWith(ctx context.Context, code Code, text string) error {
	begun, err := c.beginClose(code, text)
	if err != nil {
		return err
	}
	if !begun {
		return ended(c.patience(c.cfg.CloseTimeout).await(ctx, c.done))
	}
	err = ended(c.patience(c.cfg.CloseTimeout).await(ctx, c.dying))
	if err == nil {
		err = c.unconfirmed()
	} else {
		err = because(err, errors.New("the server did not confirm the close"))
	}
	c.die(ErrClosed)
	<-c.done
	return err
}

// unconfirmed returns why the connection died while it was being closed, or nil
// if the server had confirmed that.
func (c *Conn) unconfirmed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		return nil
	}
	return fmt.Errorf("%w, before the server confirmed the close", c.end)
}

// beginClose queues the close. It reports false if the connection already is
// dead or closing.
func (c *Conn) beginClose(code Code, text string) (begun bool, err error) {
	open := c.farewells()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return false, nil
	}
	m := &wire.ConnectionClose{ReplyCode: uint16(code), ReplyText: text}
	switch err := invalid(m.ID(), c.out.last(m, open, ErrClosed)).(type) {
	case nil:
	case *ValidationError:
		return false, err
	default: // about to die: nothing can be sent any more
		return false, nil
	}
	c.cause = ErrClosed
	c.closing = true
	return true, nil
}

// farewells returns what precedes the close of each channel that is open.
func (c *Conn) farewells() (all []farewell) {
	for i := range c.slots {
		if ch := c.slots[i].Load(); ch != nil {
			all = append(all, ch.lockedFarewell())
		}
	}
	return all
}

// die ends the connection: the socket first, so that whatever is stuck in it
// comes free, then, on the reader's goroutine, the state.
func (c *Conn) die(cause error) {
	cause = lost(cause)
	c.doom(cause)
	c.mu.Lock()
	select {
	case <-c.dying:
		c.mu.Unlock()
		return
	default:
	}
	c.end = cause
	close(c.dying)
	c.mu.Unlock()
	closeSocket(c.nc)
}

// doom has [Conn.Err] tell why the connection is about to end, unless it already does: a call that
// fails over that end must not find the connection alive.
func (c *Conn) doom(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = cause
	}
}

// closeSocket closes nc at once. TLS would first say goodbye, and wait for a
// peer that does not read; AMQP has said its own.
func closeSocket(nc net.Conn) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	_ = nc.Close()
}

// teardown ends everything that lived on the connection. The reader calls it
// when neither goroutine touches the socket any more.
func (c *Conn) teardown() {
	c.mu.Lock()
	cause, calls := c.cause, c.calls
	c.calls = nil
	c.mu.Unlock()
	c.out.close(cause)
	for _, p := range calls {
		p.fail(cause)
	}
	sent := c.flushed.Load()
	for i := range c.slots {
		if ch := c.slots[i].Load(); ch != nil {
			ch.die(cause, sent)
		}
	}
	close(c.done)
}
