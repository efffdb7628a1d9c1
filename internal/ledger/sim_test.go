package ledger

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// The simulation: a model of a client and of a broker, joined by connections that a
// ledger taps. It runs in a virtual time of its own, decided by a seed, while faults
// break the connections and the broker's state. The client can be told to make one
// mistake, so that the checker can be shown to see it.

const ms = time.Millisecond

// sim is one run.
type sim struct {
	*rand.Rand
	now    time.Duration
	steps  steps
	count  int // of steps ever planned
	ledger *Ledger
	broker *simBroker
	client *simClient
}

// step is what happens at a time.
type step struct {
	at    time.Duration
	order int
	do    func()
}

type steps []step

func (s steps) Len() int { return len(s) }
func (s steps) Less(i, j int) bool {
	return s[i].at < s[j].at || s[i].at == s[j].at && s[i].order < s[j].order
}
func (s steps) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *steps) Push(x any)   { *s = append(*s, x.(step)) }
func (s *steps) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// after plans a step.
func (s *sim) after(d time.Duration, do func()) {
	s.count++
	heap.Push(&s.steps, step{s.now + d, s.count, do})
}

// upTo is a random time below d.
func (s *sim) upTo(d time.Duration) time.Duration { return time.Duration(s.Int64N(int64(d))) }

// chance is true once in n times.
func (s *sim) chance(n int) bool { return s.IntN(n) == 0 }

// run runs until nothing is planned, or the virtual time is up.
func (s *sim) run(limit time.Duration) {
	for len(s.steps) > 0 {
		next := heap.Pop(&s.steps).(step)
		if next.at > limit {
			return
		}
		s.now = next.at
		next.do()
	}
}

// packet is a method with its content.
type packet struct {
	channel uint16
	method  wire.Method
	body    []byte
}

// simConn is a connection through the tap. What is under way when it breaks is lost.
type simConn struct {
	sim     *sim
	tap     *Conn
	broken  bool
	arrived [2]time.Duration // when the last packet arrives, by direction
	receive [2]func(packet)
	lost    [2]func() // tells the end of that direction that the connection broke
}

func (s *sim) connect() *simConn {
	c := &simConn{sim: s, tap: s.ledger.Conn()}
	c.receive[toClient], c.lost[toClient] = func(packet) {}, func() {}
	s.broker.accept(c)
	return c
}

// send has the tap see the packet half way, and the other end receive it. A direction keeps its order.
func (c *simConn) send(way int, p packet) {
	s := c.sim
	at := max(s.now+ms/10+s.upTo(2*ms), c.arrived[way]+1)
	c.arrived[way] = at + ms/10 // the tap before, the receiver after
	s.after(at-s.now, func() { c.pass(way, p) })
}

func (c *simConn) pass(way int, p packet) {
	if c.broken {
		return
	}
	for b := p.frames(); len(b) > 0; {
		f, n, err := wire.ParseFrame(b, 0)
		if err != nil || n == 0 {
			panic("the simulation sends no frame")
		}
		c.tap.frame(f, way)
		b = b[n:]
	}
	c.sim.after(ms/20, func() {
		if !c.broken {
			c.receive[way](p)
		}
	})
}

func (p packet) frames() []byte {
	b, err := wire.AppendMethod(nil, p.channel, p.method)
	if err == nil && p.body != nil {
		props := wire.Properties{Headers: Headers(p.body)}
		b, err = wire.AppendHeader(b, p.channel, wire.ClassBasic, uint64(len(p.body)), &props)
		b = wire.AppendBody(b, p.channel, p.body, wire.FrameMinSize)
	}
	if err != nil {
		panic(err)
	}
	return b
}

// cut breaks the connection; each end learns it a little later.
func (c *simConn) cut() {
	if c.broken {
		return
	}
	c.broken = true
	c.tap.Close()
	for _, lost := range c.lost {
		c.sim.after(c.sim.upTo(3*ms), lost)
	}
}
