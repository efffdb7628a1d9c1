package brokertest

import (
	"cmp"
	"slices"
	"time"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// phase is how far a connection has come.
type phase int

const (
	phaseHeader   phase = iota // expects the protocol header
	phaseStarting              // has sent start
	phaseTuning                // has sent tune
	phaseOpening               // expects open
	phaseRunning
	phaseClosing // has sent close
	phaseClosed  // has sent close-ok, and waits for the client to close the socket
	phaseDead    // has nothing to say any more
)

// backlog is how many octets may wait to be written before deliveries to the connection pause.
const backlog = 1 << 20

// conn is one connection of a client.
type conn struct {
	b       *Broker
	id      int
	nc      *Link
	bell    chan struct{} // has an element when there is something to write
	closing chan struct{} // closed when the broker has sent close
	dead    chan struct{} // closed when the socket is to be closed

	in reader // the reader goroutine's

	// Guarded by Broker.mu:

	phase        phase
	opened       time.Time
	user         *user
	vhost        *state.VHost
	name         string // as the client calls itself
	capabilities wire.Table
	channelMax   uint16
	frameMax     uint32
	heartbeat    time.Duration
	channels     map[uint16]*channel
	confirming   []*channel    // with verdicts to send
	lagging      []*channel    // with late answers
	publishes    bool          // has published since the broker last began to block
	told         bool          // that the broker blocks
	out          []byte        // to write
	seams        []int         // where in out begins and ends what Inject has put there
	writing      int           // octets that the writer has taken and not yet written
	unflushed    int           // of both, what the reader waits for in flush
	flushed      chan struct{} // closed, and nil, when that is written
	paused       bool          // deliveries wait for the backlog to go
	hangup       bool          // close the socket when all is written
	due          bool          // the writer is to be woken
	abandoned    bool          // the socket stays open
}

func newConn(b *Broker, nc *Link) *conn {
	return &conn{b: b, nc: nc, opened: time.Now(), bell: make(chan struct{}, 1),
		closing: make(chan struct{}), dead: make(chan struct{}),
		channels: map[uint16]*channel{}, channelMax: b.channelMax, frameMax: handshakeFrameMax}
}

// sortedChannels returns the channels by number. Caller holds Broker.mu.
func (c *conn) sortedChannels() []*channel {
	var all []*channel
	for _, ch := range c.channels {
		all = append(all, ch)
	}
	slices.SortFunc(all, func(x, y *channel) int { return cmp.Compare(x.id, y.id) })
	return all
}

// touch has [Broker.wake] wake the writer.
func (c *conn) touch() {
	if !c.due {
		c.due = true
		c.b.due = append(c.b.due, c)
	}
}

// send has a method written. Caller holds Broker.mu.
func (c *conn) send(channel uint16, m wire.Method) {
	if c.phase == phaseDead {
		return
	}
	c.out, _ = wire.AppendMethod(c.out, channel, m) // names and tables came off the wire
	c.touch()
}

// sendContent has a method with content written. Caller holds Broker.mu.
func (c *conn) sendContent(channel uint16, m wire.Method, properties, body []byte) {
	if c.phase == phaseDead {
		return
	}
	c.send(channel, m)
	c.content(channel, properties, body)
}

func (c *conn) content(channel uint16, properties, body []byte) {
	c.out = wire.AppendRawHeader(c.out, channel, wire.ClassBasic, uint64(len(body)), properties)
	c.out = wire.AppendBody(c.out, channel, body, c.frameMax)
}

// close ends the connection with a word to the client. Caller holds Broker.mu.
func (c *conn) close(r *state.Refusal, id wire.MethodID) {
	if c.phase >= phaseClosing {
		return
	}
	text := r.Text
	c.release()
	c.send(0, &wire.ConnectionClose{ReplyCode: r.Code, ReplyText: text[:min(len(text), 255)], ClassID: id.Class(), MethodID: id.Method()})
	c.phase = phaseClosing
	close(c.closing)
	_ = c.nc.SetReadDeadline(time.Now().Add(closeTimeout))
}

// silence ignores what comes and closes the socket after a while, as RabbitMQ does with clients that it does
// not trust.
func (c *conn) silence() {
	c.phase = phaseClosed
	_ = c.nc.SetReadDeadline(time.Now().Add(silentDelay))
}

// finish closes the socket when all is written.
func (c *conn) finish() {
	c.hangup = true
	c.touch()
}

// release gives back all that the connection holds: channels, consumers, messages, exclusive queues. Caller
// holds Broker.mu.
func (c *conn) release() {
	for _, ch := range c.sortedChannels() {
		ch.release()
		delete(c.channels, ch.id)
	}
	c.confirming, c.lagging = nil, nil
	if c.vhost != nil {
		c.vhost.DeleteOwned(c)
	}
}

// die ends the connection without a word; what is not yet written is lost. The writer then closes the socket in order,
// unless the caller, which holds Broker.mu, has done so in its own way before.
func (c *conn) die() {
	if c.phase == phaseDead {
		return
	}
	c.release()
	c.phase = phaseDead
	c.out = nil
	c.b.conns = slices.DeleteFunc(c.b.conns, func(other *conn) bool { return other == c })
	close(c.dead)
}
