package brokertest

import (
	"bytes"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/warren-mq/warren/internal/memnet"
)

// Link is the network between one client and the broker, with faults to turn on and off. "Send" is from the
// broker to the client, "receive" the other direction. Octets are those of AMQP, also below TLS. All methods are safe for concurrent use.
type Link struct {
	nc   *socket
	c    *conn
	dead chan struct{} // closed with the link

	mu           sync.Mutex // guards the following
	changed      chan struct{}
	closed       bool
	deadline     time.Time // of reads
	send         half
	receive      half
	sliceSend    int
	sliceReceive int
	unread       []byte // octets behind those after which something happens
}

// half is one direction.
type half struct {
	stalled bool
	delay   time.Duration
	left    int64  // octets until something happens; negative: nothing does
	then    func() // what happens
}

func newLink(b *Broker, nc net.Conn) *Link {
	return &Link{nc: &socket{Conn: nc, b: b}, dead: make(chan struct{}), changed: make(chan struct{}),
		send: half{left: -1}, receive: half{left: -1}}
}

// Connection returns the number of the link's connection, see [Connection].
func (l *Link) Connection() int { return l.c.id }

// CutAfterSending resets the connection once the broker has sent n more octets. Of what is to happen at an octet of
// one direction, the last that was ordered does.
func (l *Link) CutAfterSending(n int64) { l.after(&l.send, n, l.Reset) }

// CutAfterReceiving resets the connection once the broker has read n more octets and answered what was complete in them.
func (l *Link) CutAfterReceiving(n int64) {
	l.after(&l.receive, n, func() {
		l.c.flush()
		l.Reset()
	})
}

// StallAfterSending is [Link.StallSending] once the broker has sent n more octets, be it in the middle of a frame.
func (l *Link) StallAfterSending(n int64) { l.after(&l.send, n, l.StallSending) }

// StallAfterReceiving is [Link.StallReceiving] once the broker has read n more octets.
func (l *Link) StallAfterReceiving(n int64) { l.after(&l.receive, n, l.StallReceiving) }

// DelayAfterSending holds each write of the broker for some time, once it has sent n more octets.
func (l *Link) DelayAfterSending(n int64, d time.Duration) {
	l.after(&l.send, n, func() { l.set(func() { l.send.delay = d }) })
}

// DelayAfterReceiving holds each read of the broker for some time, once it has read n more octets.
func (l *Link) DelayAfterReceiving(n int64, d time.Duration) {
	l.after(&l.receive, n, func() { l.set(func() { l.receive.delay = d }) })
}

// HalfOpenAfterSending is [Link.HalfOpen] once the broker has sent n more octets.
func (l *Link) HalfOpenAfterSending(n int64) { l.after(&l.send, n, l.HalfOpen) }

// HalfOpenAfterReceiving is [Link.HalfOpen] once the broker has read n more octets.
func (l *Link) HalfOpenAfterReceiving(n int64) { l.after(&l.receive, n, l.HalfOpen) }

// after has something happen behind n more octets.
func (l *Link) after(h *half, n int64, then func()) { l.set(func() { h.left, h.then = n, then }) }

// StallSending holds back what the broker sends, until [Link.Resume].
func (l *Link) StallSending() { l.set(func() { l.send.stalled = true }) }

// StallReceiving has the broker read nothing, until [Link.Resume].
func (l *Link) StallReceiving() { l.set(func() { l.receive.stalled = true }) }

// Resume ends stalls.
func (l *Link) Resume() { l.set(func() { l.send.stalled, l.receive.stalled = false, false }) }

// Slice has each write of the broker carry at most n octets, and each read too; 0 ends it.
func (l *Link) Slice(n int) { l.set(func() { l.sliceSend, l.sliceReceive = n, n }) }

// Delay holds each write of the broker, and each read, for some time; 0 ends it.
func (l *Link) Delay(d time.Duration) { l.set(func() { l.send.delay, l.receive.delay = d, d }) }

// HalfOpen has the broker forget the connection without the client noticing: the socket stays open, what the
// client sends goes nowhere, and nothing comes any more.
func (l *Link) HalfOpen() {
	defer l.end()
	b := l.c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.abandoned = append(b.abandoned, l.nc)
		l.c.abandoned = true
	}
	l.c.die()
	b.settle()
	b.wake()
}

// Reset resets the connection.
func (l *Link) Reset() { l.c.obey(Cut) }

// End ends the connection without a word, as a broker does that is killed: see the [Action] End.
func (l *Link) End() { l.c.obey(End) }

// OnConnect has f called with the link of every new connection before the first octet passes. The function
// may wait, which holds up the connection, or the accepting of others if it comes from [Broker.URL].
func (b *Broker) OnConnect(f func(*Link)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connecting = append(slices.Clone(b.connecting), f)
}

// Links returns the links of all connections that are open, also of those whose handshake is not complete,
// in the order of their opening.
func (b *Broker) Links() []*Link {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*Link
	for _, c := range b.conns {
		all = append(all, c.nc)
	}
	return all
}

func (l *Link) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
}

// Read implements [net.Conn] for the broker's side.
func (l *Link) Read(p []byte) (int, error) {
	l.strike(&l.receive)
	if err := l.wait(&l.receive, true); err != nil {
		return 0, err
	}
	l.mu.Lock()
	if slice := l.sliceReceive; slice > 0 && len(p) > slice {
		p = p[:slice]
	}
	n := copy(p, l.unread)
	l.unread = l.unread[n:]
	l.mu.Unlock()
	var err error
	if n == 0 {
		n, err = l.nc.Read(p)
	}
	n = l.read(p[:n])
	if werr := l.wait(&l.receive, false); err == nil && werr != nil {
		return 0, werr // stalled while it waited in the socket
	}
	return n, err
}

// read counts what has come and keeps what is behind the octet at which something happens.
func (l *Link) read(p []byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	if left := l.receive.left; left >= 0 {
		n = int(min(int64(n), left))
		l.receive.left -= int64(n)
		l.unread = append(bytes.Clone(p[n:]), l.unread...)
	}
	return n
}

// Write implements [net.Conn] for the broker's side.
func (l *Link) Write(p []byte) (int, error) {
	for done := 0; ; {
		l.strike(&l.send)
		if err := l.wait(&l.send, true); err != nil {
			return done, err
		}
		l.mu.Lock()
		part := p[done:]
		if l.sliceSend > 0 && len(part) > l.sliceSend {
			part = part[:l.sliceSend]
		}
		if left := l.send.left; left >= 0 && int64(len(part)) > left {
			part = part[:left]
		}
		l.mu.Unlock()
		n, err := l.nc.Write(part)
		done += n
		if err != nil {
			return done, err
		}
		l.mu.Lock()
		if l.send.left >= 0 {
			l.send.left = max(l.send.left-int64(n), 0)
		}
		l.mu.Unlock()
		if done == len(p) {
			l.strike(&l.send)
			return done, nil
		}
	}
}

// strike has happen what is to happen at an octet, when that has come.
func (l *Link) strike(h *half) {
	l.mu.Lock()
	then := h.then
	if h.left != 0 {
		then = nil
	} else {
		h.left = -1
	}
	l.mu.Unlock()
	if then != nil {
		then()
	}
}

// wait waits for the direction to pass something.
func (l *Link) wait(h *half, delays bool) error {
	for {
		l.mu.Lock()
		stalled, delay, changed, deadline, closed := h.stalled, h.delay, l.changed, l.deadline, l.closed
		l.mu.Unlock()
		if closed {
			return net.ErrClosed
		}
		if !stalled {
			if delays && delay > 0 {
				l.sleep(delay)
			}
			return nil
		}
		var expired <-chan time.Time
		if h == &l.receive && !deadline.IsZero() {
			t := time.NewTimer(time.Until(deadline))
			defer t.Stop()
			expired = t.C
		}
		select {
		case <-changed:
		case <-l.dead:
		case <-expired:
			return os.ErrDeadlineExceeded
		}
	}
}

func (l *Link) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.dead:
	}
}

// SetReadDeadline bounds reads, also those that are stalled.
func (l *Link) SetReadDeadline(t time.Time) error {
	l.set(func() { l.deadline = t })
	return l.nc.SetReadDeadline(t)
}

// Close closes the broker's side of the connection.
func (l *Link) Close() error {
	l.end()
	l.c.b.mu.Lock()
	abandoned := l.c.abandoned
	l.c.b.mu.Unlock()
	if abandoned {
		return nil
	}
	return l.nc.Close()
}

// end has everything that waits in the link give up.
func (l *Link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.dead)
	}
}

// sendingStalls reports whether [Link.StallSending] holds, and a channel that is closed when that may have changed.
func (l *Link) sendingStalls() (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.send.stalled, l.changed
}

// hangUp closes the socket without a word, not even one of TLS.
func (l *Link) hangUp() {
	l.end()
	_ = l.nc.Conn.Close()
}

// reset closes the socket so that the client sees a reset and not an orderly end.
func (l *Link) reset() {
	l.end()
	reset(l.nc.Conn)
}

func reset(nc net.Conn) {
	switch nc := nc.(type) {
	case *memnet.Conn:
		nc.Break() // a reset overtakes nothing that has reached the client
	case *net.TCPConn:
		_ = nc.SetLinger(0)
	}
	_ = nc.Close()
}
