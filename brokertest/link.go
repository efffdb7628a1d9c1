package brokertest

import (
	"net"
	"slices"
	"sync"
	"time"
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

// DelayAfterReceiving holds what each read of the broker brings for some time, once it has read n more octets.
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

// Delay holds each write of the broker, and what each read brings, for some time; 0 ends it.
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
