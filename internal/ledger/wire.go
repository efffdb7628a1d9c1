package ledger

import (
	"sync"

	"github.com/warren-mq/warren/core/wire"
)

// Conn is the wire ledger of one connection: it follows the frames that pass
// between a client and a broker. A frame is told before it is passed on, so that
// its record is older than whatever it causes. Its methods are safe for concurrent
// use by the goroutines of the two directions.
type Conn struct {
	ledger *Ledger
	number uint32
	shard  *shard

	mu       sync.Mutex // guards the following
	decoder  wire.Decoder
	channels map[uint16]*channel
	broker   liveliness
}

// channel is a channel of a connection, from one channel.open to the next.
type channel struct {
	epoch     uint32
	closed    bool
	confirms  bool
	published uint64            // publishes since confirm.select
	tags      map[string]uint16 // numbers of consumers by tag
	asked     []consumer        // consumes without their consume-ok
	consumers map[uint16]consumer
	content   [2]content // under way: from the client, from the broker
	requests  requests
}

// consumer is what a basic.consume asks for.
type consumer struct {
	tag   string
	queue uint16
	noAck bool
}

// Conn returns the ledger of a connection that a client opens now.
func (l *Ledger) Conn() *Conn {
	c := &Conn{ledger: l, shard: l.newShard(), channels: map[uint16]*channel{}}
	l.mu.Lock()
	l.conns++
	c.number = l.conns
	l.mu.Unlock()
	c.add(Record{Kind: ConnOpen, Tag: uint64(c.number)})
	return c
}

func (c *Conn) add(r Record) {
	r.Time = c.ledger.now()
	c.shard.add(r)
}

// Close tells that the connection is gone, whichever side ended it. Nothing more is told of it: a
// ledger in files keeps none open for it.
func (c *Conn) Close() {
	c.lose()
	c.ledger.text.line(c.ledger.now(), c.number, "is gone")
	c.ledger.failed(c.shard.close())
}

func (c *Conn) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endAll(0, Lost)
}

// endAll ends every channel with its connection.
func (c *Conn) endAll(code uint16, flags Flags) {
	for _, ch := range c.channels {
		c.end(ch, code, flags)
	}
}

// end notes the end of a channel, once.
func (c *Conn) end(ch *channel, code uint16, flags Flags) {
	if ch.closed {
		return
	}
	ch.closed = true
	silence := c.ledger.now() - max(c.broker.steady, ch.requests.read)
	c.add(Record{Kind: EpochClose, Epoch: ch.epoch, Seq: uint64(silence), Tag: uint64(code), Flags: flags})
}

// open begins a new epoch of the channel of that id.
func (c *Conn) open(id uint16) {
	c.ledger.mu.Lock()
	c.ledger.epochs++
	epoch := c.ledger.epochs
	c.ledger.mu.Unlock()
	c.channels[id] = &channel{epoch: epoch, tags: map[string]uint16{}, consumers: map[uint16]consumer{}}
	c.add(Record{Kind: EpochOpen, Epoch: epoch, Tag: pack(uint64(c.number), id)})
}

// ToBroker tells of a frame from the client.
func (c *Conn) ToBroker(f wire.Frame) { c.frame(f, toBroker) }

// ToClient tells of a frame from the broker.
func (c *Conn) ToClient(f wire.Frame) { c.frame(f, toClient) }

const (
	toBroker = iota
	toClient
)

// frame looks at a frame. What cannot be decoded is not noted: the peer ends the
// connection over it.
func (c *Conn) frame(f wire.Frame, way int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if way == toClient {
		c.broker.frame(c.ledger.now())
	}
	c.tell(f, way)
	ch := c.channels[f.Channel]
	switch f.Type {
	case wire.FrameMethod:
		id, ok := wire.PeekMethod(f.Payload)
		switch {
		case !ok:
		case id == wire.MethodChannelOpen && way == toBroker:
			c.open(f.Channel)
		case id == wire.MethodConnectionClose || id == wire.MethodConnectionBlocked || id == wire.MethodConnectionUnblocked:
			c.connectionMethod(f.Payload, way)
		case ch == nil:
		case way == toBroker:
			ch.requests.ask(id, c.ledger.now())
			c.clientMethod(ch, id, f.Payload)
		default:
			ch.requests.answer(id)
			c.brokerMethod(ch, id, f.Payload)
		}
	case wire.FrameHeader:
		if ch != nil && ch.content[way].head(&c.decoder, f.Payload) {
			c.contentEnded(ch, &ch.content[way])
		}
	case wire.FrameBody:
		if ch != nil && ch.content[way].body(f.Payload) {
			c.contentEnded(ch, &ch.content[way])
		}
	}
}

func (c *Conn) connectionMethod(payload []byte, way int) {
	m, err := c.decoder.Method(payload)
	if err != nil {
		return
	}
	switch m := m.(type) {
	case *wire.ConnectionClose:
		c.endAll(m.ReplyCode, by(way))
	case *wire.ConnectionBlocked:
		c.add(Record{Kind: Blocked, Flags: Begun})
	case *wire.ConnectionUnblocked:
		c.add(Record{Kind: Blocked})
	}
}

// by says who sent a frame of that direction.
func by(way int) Flags {
	if way == toClient {
		return ByServer
	}
	return 0
}
