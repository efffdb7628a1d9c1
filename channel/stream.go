package channel

import (
	"context"
	"sync"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/offsets"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/topology"
)

// position is where a consumer of a stream goes on when it is started again: at the first message that was
// received and not settled. A stream is known by what the client declared, by the arguments, or by what it delivers.
type position struct {
	offsets *offsets.Offsets

	mu          sync.Mutex // guards the following
	channel     *core.Channel
	received    []received // on channel, not known to be settled
	round       int        // of the offsets
	recreations int        // of the queue, when the consumer was started last
}

type received struct{ tag, offset uint64 }

// positionOf returns the position of a consumer that is started for the first time.
func positionOf(conn *session.Connection, m core.BasicConsume) *position {
	p := &position{offsets: offsets.New(), recreations: conn.Recreations(m.Queue)}
	recorded, known := topology.Queue{}, false
	if r := conn.Recorder(); r != nil {
		recorded, known = r.Lookup(m.Queue)
	}
	_, asked := m.Arguments[offsets.Header]
	switch kind, _ := recorded.Declare().Arguments["x-queue-type"].(string); {
	case m.NoAck:
		p.offsets.SetKind(offsets.Plain)
	case asked, kind == topology.Stream:
		p.offsets.SetKind(offsets.Stream)
	case known && kind != "": // else it is what the vhost makes of it
		p.offsets.SetKind(offsets.Plain)
	}
	return p
}

// started notes the channel of a subscription that was asked for at a time.
func (p *position) started(on *core.Channel, at time.Time) {
	p.offsets.Subscribed(at)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.channel = on
}

// receive receives from physical. Deliveries of a stream are received one at a time, so that they are noted in order.
func (p *position) receive(ctx context.Context, physical *core.Consumer, prefetch int) (*core.Delivery, error) {
	if p.offsets.Kind() == offsets.Plain {
		return physical.Receive(ctx)
	}
	select {
	case p.offsets.Turn <- struct{}{}:
		defer func() { <-p.offsets.Turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	d, err := physical.Receive(ctx)
	if err == nil {
		p.note(d, prefetch)
	}
	return d, err
}

// tryReceive is receive without waiting.
func (p *position) tryReceive(physical *core.Consumer, prefetch int) (*core.Delivery, error) {
	if p.offsets.Kind() == offsets.Plain {
		return physical.TryReceive()
	}
	select {
	case p.offsets.Turn <- struct{}{}:
		defer func() { <-p.offsets.Turn }()
	default: // another goroutine waits for the next one
		return nil, nil
	}
	d, err := physical.TryReceive()
	if err == nil && d != nil {
		p.note(d, prefetch)
	}
	return d, err
}

// note notes a delivery. Of a stream no more than prefetch can be unsettled, unless that is 0.
func (p *position) note(d *core.Delivery, prefetch int) {
	p.offsets.Learn(d)
	offset, numbered := offsets.Of(d)
	if !p.offsets.IsStream() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !numbered || d.Channel() != p.channel { // else it comes again
		return
	}
	p.offsets.Delivered(p.round, offset)
	p.received = append(p.received, received{d.Tag, offset})
	p.settleLocked(prefetch)
}

// settleLocked drops what is settled from the front.
func (p *position) settleLocked(prefetch int) {
	n := 0
	for ; n < len(p.received); n++ {
		settled, known := p.channel.SettledHere(p.received[n].tag)
		if more := prefetch > 0 && len(p.received)-n > prefetch; !more && !(settled && known) {
			break
		}
		p.offsets.Settled(p.received[n].offset)
	}
	p.received = p.received[n:]
}

// arguments returns args for the next subscription. recreations is how often the queue was declared again.
func (p *position) arguments(args core.Table, recreations, prefetch int) core.Table {
	if !p.offsets.IsStream() {
		return args
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.channel != nil {
		p.settleLocked(prefetch)
	}
	p.channel, p.received = nil, nil
	if recreations != p.recreations {
		p.recreations = recreations
		p.offsets.Replaced()
	}
	args, p.round = p.offsets.Arguments(args, args[offsets.Header])
	return args
}
