package brokertest

import (
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// settleByTime waits until every request has its answer and as much has come as the scenario says, and then
// until nothing has come for a while.
func settleByTime(p *player) {
	const patience, expectation = 3 * time.Second, time.Minute
	quiet := 150 * time.Millisecond * p.longer
	if *update {
		quiet, p.expected = 500*time.Millisecond, 0 // what comes is not known
	}
	start := time.Now()
	for last := start; ; time.Sleep(5 * time.Millisecond) {
		now := time.Now()
		waited := now.Sub(start)
		if p.grown() || p.unanswered() && waited < patience || p.seen < p.expected && waited < expectation {
			last = now
		} else if now.Sub(last) >= quiet {
			break
		}
	}
	clear(p.asked)
}

// grown reports whether anything has come since it was last asked.
func (p *player) grown() bool {
	n := 0
	for _, c := range p.clients {
		c.mu.Lock()
		n += len(c.received)
		c.mu.Unlock()
	}
	grown := n != p.seen
	p.seen = n
	return grown
}

// undo deletes what the scenario has declared.
func (p *player) undo() error {
	p.clients, p.opened = map[string]*rawClient{}, map[string]bool{}
	defer p.hangup()
	for _, m := range p.created {
		if err := p.open("z", "1"); err != nil {
			return err
		}
		if err := p.delete(m); err != nil {
			return err
		}
	}
	return nil
}

// delete deletes a queue or exchange, if it is there.
func (p *player) delete(m wire.Method) error {
	for range 100 { // an exclusive queue goes a moment after its connection
		reply, err := p.call("z", 1, m)
		refusal, refused := reply.(*wire.ChannelClose)
		if err != nil || !refused {
			return err
		}
		_ = p.clients["z"].send(1, &wire.ChannelCloseOk{}, nil)
		if _, err := p.call("z", 1, &wire.ChannelOpen{}); err != nil || refusal.ReplyCode != 405 {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}
