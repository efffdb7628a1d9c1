package brokertest

import (
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// consult asks about a method that has come in, and carries out what concerns the socket. It returns false
// if the method is not to be handled. Caller holds Broker.mu, which is released meanwhile: channels may have
// ended.
func (c *conn) consult(channel uint16, m wire.Method, in *incoming) (Action, bool) {
	b := c.b
	if len(b.receiving) == 0 && !b.transcribe {
		return Pass, true
	}
	e := Event{Connection: c.id, Channel: channel, Method: m}
	if in != nil {
		e.Properties, _ = wire.DecodeProperties(in.props)
		e.Body = in.body
	}
	b.note(e, true)
	var a Action
	c.unlocked(func() { a = b.ask(b.receivingHooks(), e); c.obeyReading(a) })
	if c.phase == phaseDead {
		return a, false
	}
	if !a.swallow {
		return a, true
	}
	for _, reply := range a.replies {
		c.send(channel, reply)
	}
	if ch := c.channels[channel]; a.refusal != nil && ch != nil {
		ch.refuse(a.refusal, m.ID())
	} else if a.refusal != nil {
		c.close(a.refusal, m.ID())
	}
	return a, false
}

// consultFrame asks about a frame. It returns false if it is not to be handled.
func (c *conn) consultFrame(f wire.Frame) bool {
	if len(c.b.receiving) == 0 {
		return true
	}
	var a Action
	c.unlocked(func() {
		a = c.b.askFrame(c.b.receivingHooks(), Frame{Connection: c.id, Channel: f.Channel, Type: f.Type, Size: len(f.Payload)})
		c.obeyReading(a)
	})
	return !a.swallow && c.phase != phaseDead
}

func (b *Broker) receivingHooks() []*Hook {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.receiving
}

// unlocked calls user code. What was done before takes effect first.
func (c *conn) unlocked(f func()) {
	c.flushLate()
	c.flushConfirms()
	c.b.settle()
	c.b.wake()
	c.b.mu.Unlock()
	defer c.b.mu.Lock()
	f()
}

// obeyReading is obey on the reader's goroutine: what was answered before a cut or an end is still written.
func (c *conn) obeyReading(a Action) {
	if a.cut || a.end {
		c.flush()
	}
	c.obey(a)
}

// obey waits, cuts or ends. Caller does not hold Broker.mu.
func (c *conn) obey(a Action) {
	if a.delay > 0 {
		c.sleep(a.delay)
	}
	if a.hang {
		<-c.dead
	}
	if a.cut {
		c.died((*Link).reset)
	}
	if a.end {
		c.died((*Link).hangUp)
	}
}

// sleep waits, until the connection ends at the latest.
func (c *conn) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.dead:
	}
}
