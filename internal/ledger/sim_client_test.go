package ledger

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// simClient is the model of a client.
type simClient struct {
	sim       *sim
	ledger    *Ledger
	mistake   string // the one it makes; empty: none
	window    int
	prefetch  int
	publisher *simPublisher
	conn      *simConn // of the consumers; nil: down
	consumers []*simHandler
}

func (c *simClient) is(mistake string) bool { return c.mistake == mistake }

// rarely is true now and then, for mistakes that are not made always.
func (c *simClient) rarely() bool { return c.sim.chance(100) }

func (c *simClient) backoff() time.Duration { return 2*ms + c.sim.upTo(10*ms) }

// bind declares again what the broker may have forgotten.
func (c *simClient) bind(write func(wire.Method, []byte)) {
	for _, q := range c.sim.broker.queues {
		if !c.is("skip a binding") || q.name != "audit" {
			write(&wire.QueueBind{Queue: q.name}, nil)
		}
	}
}

var errHandler = errors.New("the handler fails once")

// simHandler is one consumer of one worker, on a channel of its own.
type simHandler struct {
	client    *simClient
	ledger    *Consumer
	queue     string
	channel   uint16
	tag       string
	tags      int
	inbox     []simDelivered
	busy      bool
	finished  []uint64 // handled with success, to acknowledge
	unsettled []uint64 // delivered and neither acknowledged nor refused
	failures  map[ID]bool
	succeeded map[ID]bool
	last      []byte // body of the delivery before
	epoch     int
	revoked   bool // a prefix of tags says nothing any more
}

// simDelivered is a delivery as the handler sees it.
type simDelivered struct {
	wire.BasicDeliver
	body  []byte
	epoch int // of the channel that brought it
}

func (c *simClient) connect() {
	c.conn = c.sim.connect()
	c.conn.receive[toClient] = c.receive
	c.conn.lost[toClient] = c.lost
	for _, h := range c.consumers {
		h.open()
	}
}

func (c *simClient) lost() {
	c.conn = nil
	for _, h := range c.consumers {
		h.drop()
	}
	if !c.is("never consumes again") {
		c.sim.after(c.backoff(), c.connect)
	}
}

func (c *simClient) receive(p packet) {
	i := slices.IndexFunc(c.consumers, func(h *simHandler) bool { return h.channel == p.channel })
	h := c.consumers[i]
	switch m := p.method.(type) {
	case *wire.BasicDeliver:
		h.deliver(m, p.body)
	case *wire.BasicCancel:
		h.cancelled(m.ConsumerTag)
	case *wire.BasicCancelOk:
		h.consume()
	}
}

func (h *simHandler) write(m wire.Method, body []byte) {
	if h.client.conn != nil {
		h.client.conn.send(toBroker, packet{h.channel, m, body})
	}
}

func (h *simHandler) open() {
	h.revoked = false
	h.write(&wire.ChannelOpen{}, nil)
	h.client.bind(h.write)
	if h.epoch == 0 || !h.client.is("forget qos") {
		h.write(&wire.BasicQos{PrefetchCount: uint16(h.client.prefetch)}, nil)
	}
	h.consume()
	if h.epoch > 0 && h.client.is("consume twice") || h.epoch == 1 && h.client.is("consume twice for a while") {
		h.tags++
		h.write(&wire.BasicConsume{Queue: h.queue, ConsumerTag: "twin"}, nil)
	}
	if h.client.is("ack a stale delivery") && h.epoch > 0 {
		return
	}
	h.finished, h.unsettled = nil, nil
}

func (h *simHandler) consume() {
	h.tags++
	h.tag = fmt.Sprintf("%s-%d", h.queue, h.tags)
	h.write(&wire.BasicConsume{Queue: h.queue, ConsumerTag: h.tag}, nil)
}

// drop forgets what a lost channel has brought.
func (h *simHandler) drop() {
	h.epoch++
	if !h.client.is("handle stale deliveries") {
		h.inbox = nil
	}
}

func (h *simHandler) cancelled(tag string) {
	h.inbox = nil
	h.epoch++ // what it brought is void
	h.revoked = !h.client.is("multiple ack after a cancel")
	h.finished, h.unsettled = nil, nil
	if !h.client.is("leave a cancel unanswered") {
		h.write(&wire.BasicCancel{ConsumerTag: tag}, nil)
	} else {
		h.consume()
	}
	h.tag = ""
}

func (h *simHandler) deliver(m *wire.BasicDeliver, body []byte) {
	c := h.client
	if m.ConsumerTag != h.tag && m.ConsumerTag != "twin" {
		if !c.is("drop an unknown consumer's delivery") {
			h.write(&wire.BasicNack{DeliveryTag: m.DeliveryTag, Requeue: true}, nil)
		}
		return
	}
	h.unsettled = append(h.unsettled, m.DeliveryTag)
	d := simDelivered{*m, body, h.epoch}
	switch {
	case c.is("ack a redelivery at once") && h.succeeded[idOf(body)]:
		h.write(&wire.BasicAck{DeliveryTag: m.DeliveryTag}, nil)
	case c.is("ack before the handler") && c.rarely():
		h.write(&wire.BasicAck{DeliveryTag: m.DeliveryTag}, nil)
	case c.is("ack without handling") && c.rarely():
		h.finish(d)
		return
	case c.is("handle twice") && c.rarely():
		h.inbox = append(h.inbox, d)
	case c.is("hide redelivered"):
		d.Redelivered = false
	}
	h.inbox = append(h.inbox, d)
	h.work()
}

// work handles one delivery after the other.
func (h *simHandler) work() {
	if h.busy || len(h.inbox) == 0 {
		return
	}
	d := h.inbox[0]
	h.inbox = h.inbox[1:]
	if h.client.is("handle out of order") && len(h.inbox) > 0 && h.client.rarely() {
		d, h.inbox[0] = h.inbox[0], d
	}
	h.busy = true
	id, err := h.ledger.Receive(h.handOut(d))
	if err == nil && h.client.sim.chance(25) && !h.failures[id] {
		h.failures[id] = true
		err = errHandler
	}
	takes := ms / 2
	if h.client.sim.chance(50) {
		takes = 20 * ms
	}
	h.client.sim.after(h.client.sim.upTo(takes), func() {
		h.busy = false
		h.ledger.End(id, d.DeliveryTag, err)
		h.succeeded[id] = h.succeeded[id] || err == nil
		if d.epoch == h.epoch || h.client.is("ack a stale delivery") || h.client.is("handle stale deliveries") {
			h.handled(d, err)
		}
		h.work()
	})
}

// handOut returns a delivery as the handler is to see it.
func (h *simHandler) handOut(d simDelivered) Received {
	out := Received{Key: d.RoutingKey, Headers: Headers(d.body), Body: d.body, Tag: d.DeliveryTag, Redelivered: d.Redelivered}
	switch c := h.client; {
	case h.last == nil:
	case c.is("hand out another's key") && c.rarely():
		out.Key = "nowhere"
	case c.is("hand out another's header") && c.rarely():
		out.Headers = Headers(h.last)
	case c.is("hand out the last one again") && c.rarely():
		out.Headers, out.Body = Headers(h.last), h.last
	}
	h.last = d.body
	return out
}

func idOf(body []byte) ID {
	id, _, _ := decodePrefix(body)
	return id
}

func (h *simHandler) handled(d simDelivered, err error) {
	if errors.Is(err, errHandler) && !h.client.is("ack a failure") {
		h.unsettled = slices.DeleteFunc(h.unsettled, func(tag uint64) bool { return tag == d.DeliveryTag })
		h.write(&wire.BasicNack{DeliveryTag: d.DeliveryTag, Requeue: true}, nil)
		return
	}
	h.finish(d)
}

// finish acknowledges soon, together with others.
func (h *simHandler) finish(d simDelivered) {
	if h.client.is("never ack one") && h.client.rarely() {
		return
	}
	h.finished = append(h.finished, d.DeliveryTag)
	epoch := h.epoch
	h.client.sim.after(h.client.sim.upTo(ms), func() {
		if epoch == h.epoch || h.client.is("ack a stale delivery") {
			h.acknowledge()
		}
	})
}

// acknowledge acks what is finished: with multiple as far as nothing before is open.
func (h *simHandler) acknowledge() {
	slices.Sort(h.finished)
	slices.Sort(h.unsettled)
	if h.client.is("multiple ack over open ones") && len(h.finished) > 0 && h.client.rarely() {
		h.write(&wire.BasicAck{DeliveryTag: h.finished[len(h.finished)-1] + 1, Multiple: true}, nil)
	}
	prefix := 0
	for !h.revoked && prefix < len(h.finished) && prefix < len(h.unsettled) && h.finished[prefix] == h.unsettled[prefix] {
		prefix++
	}
	if prefix > 0 {
		h.write(&wire.BasicAck{DeliveryTag: h.finished[prefix-1], Multiple: prefix > 1}, nil)
		if h.client.is("settle twice") && h.client.rarely() {
			h.write(&wire.BasicAck{DeliveryTag: h.finished[prefix-1]}, nil)
		}
	}
	for _, tag := range h.finished[prefix:] {
		h.write(&wire.BasicAck{DeliveryTag: tag}, nil)
	}
	h.unsettled = slices.DeleteFunc(h.unsettled, func(tag uint64) bool { return slices.Contains(h.finished, tag) })
	h.finished = nil
}
