package nullbroker

import (
	"encoding/binary"
	"net"
	"sync"

	"github.com/warren-mq/warren/bench/internal/framing"
	"github.com/warren-mq/warren/core/wire"
)

// conn is one connection. Its reader counts publishes and acks and never writes, so that a client that does
// not read cannot stop it; its writer sends replies and deliveries.
type conn struct {
	nc net.Conn

	// Of the reader alone.
	dec      wire.Decoder
	channels map[uint16]*channel
	current  *channel   // of the latest frame
	touched  []*channel // that got publishes to confirm, or acks, since the last read
	goodbye  bool

	mu        sync.Mutex // guards the following
	work      sync.Cond
	replies   []byte
	consumers []*consumer
	closing   bool // the writer ends when the replies are written
	over      bool // it ends at once
}

// channel is one channel, of the reader alone.
type channel struct {
	id        uint16
	confirms  bool
	published uint64
	confirmed uint64
	prefetch  int
	consumers []*consumer
	acked     int // settled deliveries since the last read
	settled   ackWindow
	touched   bool
}

func newConn(nc net.Conn) *conn {
	c := &conn{nc: nc, channels: map[uint16]*channel{}}
	c.work.L = &c.mu
	return c
}

// end closes the socket and lets both goroutines go.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	c.work.Signal()
	_ = c.nc.Close()
}

func (c *conn) runReader() {
	defer c.finish()
	header := make([]byte, len(wire.ProtocolHeader))
	if _, err := c.nc.Read(header); err != nil || string(header) != wire.ProtocolHeader {
		return
	}
	c.start()
	r := framing.NewReader(c.nc)
	for !c.goodbye {
		if err := r.Read(c.onFrame); err != nil {
			return
		}
		c.afterRead()
	}
}

// finish ends the connection, behind the last reply if the client has said goodbye.
func (c *conn) finish() {
	if !c.goodbye {
		c.end()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	c.work.Signal()
}

func (c *conn) onFrame(typ uint8, id uint16, payload []byte) error {
	if typ != wire.FrameMethod || len(payload) < 4 {
		return nil
	}
	switch wire.MethodID(binary.BigEndian.Uint32(payload)) {
	case wire.MethodBasicPublish:
		ch := c.channel(id)
		ch.published++
		if ch.confirms {
			c.touch(ch)
		}
	case wire.MethodBasicAck:
		ch := c.channel(id)
		ch.acked += ch.settled.ack(binary.BigEndian.Uint64(payload[4:]), payload[12]&1 != 0)
		c.touch(ch)
	default:
		return c.onMethod(id, payload)
	}
	return nil
}

func (c *conn) channel(id uint16) *channel {
	if c.current != nil && c.current.id == id {
		return c.current
	}
	ch := c.channels[id]
	if ch == nil {
		ch = &channel{id: id}
		c.channels[id] = ch
	}
	c.current = ch
	return ch
}

func (c *conn) touch(ch *channel) {
	if !ch.touched {
		ch.touched = true
		c.touched = append(c.touched, ch)
	}
}

// afterRead confirms and lets deliveries go for all that the read brought.
func (c *conn) afterRead() {
	if len(c.touched) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.touched {
		ch.touched = false
		if ch.confirms && ch.confirmed < ch.published {
			ch.confirmed = ch.published
			c.replies = wire.AppendAck(c.replies, ch.id, ch.published, true)
		}
		for _, k := range ch.consumers { // the first one gets what all have settled: one is the usual number
			k.credit += ch.acked
			ch.acked = 0
		}
	}
	c.touched = c.touched[:0]
	c.work.Signal()
}
