package ledger

import (
	"slices"

	"github.com/warren-mq/warren/core/wire"
)

// simPublisher is the publishing half of the model of a client: it publishes with
// confirms, and again, in order, what a lost connection left without a verdict.
type simPublisher struct {
	client  *simClient
	ledger  *Publisher
	conn    *simConn // nil: down
	ready   bool
	toSend  int           // messages that the application has not published yet
	queue   []*simMessage // admitted and not on the wire of this connection, in order
	sent    []*simMessage // on the wire of this connection, by tag - 1
	offset  uint64        // of tags; only a mistake makes it other than 0
	pending int           // admitted and without a result
	last    []*simMessage // confirmed lately
}

type simMessage struct {
	Message
	settled bool
	unheard bool // by mistake: its confirm is passed over
}

func (p *simPublisher) connect() {
	c := p.client
	if p.conn = c.sim.connect(); c.is("dial storm") {
		for range 30 {
			c.sim.connect().cut()
		}
	}
	p.conn.receive[toClient] = func(got packet) { p.receive(got) }
	p.conn.lost[toClient] = p.lost
	p.sent, p.ready = nil, true
	p.write(&wire.ChannelOpen{}, nil)
	c.bind(p.write)
	p.write(&wire.ConfirmSelect{}, nil)
	c.ledger.Up()
	if c.is("new before replay") {
		p.produce(3)
		slices.Reverse(p.queue)
		slices.Reverse(p.queue[min(3, len(p.queue)):])
	}
	p.flush()
}

func (p *simPublisher) write(m wire.Method, body []byte) {
	if p.conn != nil {
		p.conn.send(toBroker, packet{1, m, body})
	}
}

// produce has the application publish up to n messages, as the window allows.
func (p *simPublisher) produce(n int) {
	for ; n > 0 && p.toSend > 0 && (p.pending < p.client.window || p.client.is("unbounded")); n-- {
		p.toSend--
		key := uint32(0)
		if p.client.sim.chance(30) {
			key = 1 // no queue takes it
		}
		p.pending++
		p.ledger.To("", simKey(key))
		p.queue = append(p.queue, &simMessage{Message: p.ledger.Next(key, 64)})
	}
}

// simKey returns the routing key of a message.
func simKey(key uint32) string {
	if key != 0 {
		return "nowhere"
	}
	return "all"
}

// flush writes what is queued.
func (p *simPublisher) flush() {
	if p.conn == nil {
		return
	}
	for _, m := range p.queue {
		key := simKey(m.ID.Key)
		body := m.Body
		switch {
		case p.client.is("another key") && p.client.rarely():
			key = "elsewhere"
		case p.client.is("corrupt body") && p.client.rarely():
			body = slices.Clone(body)
			body[50]++
		case p.client.is("cross-talk") && p.client.rarely():
			body = append(slices.Clone(body[:PrefixSize]), "the body of another message"...)
		}
		p.sent = append(p.sent, m)
		p.write(&wire.BasicPublish{RoutingKey: key, Mandatory: true}, body)
	}
	p.queue = nil
}

func (p *simPublisher) receive(got packet) {
	switch m := got.method.(type) {
	case *wire.BasicAck:
		p.confirmed(m.DeliveryTag, m.Multiple)
	case *wire.BasicNack:
		p.nacked(m.DeliveryTag)
	case *wire.BasicReturn:
		p.returned(got.body)
	}
	p.flush()
}

func (p *simPublisher) confirmed(tag uint64, multiple bool) {
	c := p.client
	last := tag - p.offset
	first := last
	if multiple {
		first = 1
	}
	switch {
	case c.is("multiple one too far") && multiple:
		last++
	case c.is("multiple one short") && multiple:
		last--
	case c.is("ignores multiple"):
		first = last
	}
	for t := first; t <= last && t-1 < uint64(len(p.sent)); t++ {
		m := p.sent[t-1]
		if c.is("drop a confirm") && c.rarely() {
			m.unheard = true
		}
		if !m.settled && !m.unheard {
			p.settle(m, Confirmed)
			p.last = append(p.last, m)
		}
	}
}

func (p *simPublisher) nacked(tag uint64) {
	if tag -= p.offset; tag-1 >= uint64(len(p.sent)) {
		return
	}
	m := p.sent[tag-1]
	switch c := p.client; {
	case c.is("lose a nack"):
		return
	case c.is("nack as ack"):
		p.settle(m, Confirmed)
		return
	}
	again := *m // it gets another tag
	m.settled = true
	p.client.sim.after(5*ms, func() {
		p.queue = append(p.queue, &again)
		p.flush()
	})
}

func (p *simPublisher) returned(body []byte) {
	if p.client.is("swallow a return") {
		return
	}
	for _, m := range p.sent {
		if !m.settled && string(m.Body) == string(body) {
			p.settle(m, Returned)
		}
	}
}

func (p *simPublisher) settle(m *simMessage, o Outcome) {
	if m.settled {
		return
	}
	m.settled = true
	p.pending--
	p.ledger.Result(m.ID, o)
	if p.client.is("two results") && p.client.rarely() {
		p.ledger.Result(m.ID, o)
	}
}

// lost keeps what has no verdict, to publish it again before anything new.
func (p *simPublisher) lost() {
	c := p.client
	c.ledger.Down()
	left := slices.DeleteFunc(slices.Clone(p.sent), func(m *simMessage) bool { return m.settled })
	for i, m := range left {
		switch {
		case c.is("confirmed on close"):
			p.settle(m, Confirmed)
		case c.is("not sent on close"):
			p.settle(m, NotSent)
		case c.is("forget on close"), c.is("skip one in replay") && i == 0:
			c.sim.after(500*ms, func() { p.settle(m, Unknown) })
			left[i] = nil
		}
	}
	left = slices.DeleteFunc(left, func(m *simMessage) bool { return m == nil || m.settled })
	if c.is("replay out of order") {
		slices.Reverse(left)
	}
	if c.is("republish acked") && len(p.last) > 0 {
		again := *p.last[0]
		left = append(left, &again)
	}
	if c.is("forget sequence reset") {
		p.offset = -uint64(len(p.sent)) // the first tag is taken for the next one of the old channel
	}
	p.queue = append(left, p.queue...)
	p.conn, p.ready = nil, false
	c.sim.after(c.backoff(), p.connect)
}
