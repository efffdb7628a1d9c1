package core

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/warren-mq/warren/internal/gate"
)

// inbox is a consumer's queue of deliveries between the reader goroutine,
// which never waits for it, and any number of receivers. Two slices are
// swapped, so that under load each side has a lock of its own.
//
// The bounds count what was swapped out last as held until the next swap.
type inbox struct {
	maxCount int // most deliveries held, 0: unbounded
	maxBytes int // most bytes held, see weight; 0: unbounded

	bell    chan struct{} // capacity 1: there is something to receive, or the end
	dropped atomic.Bool   // what is held must not be received any more

	out struct {
		sync.Mutex // guards the following; taken before in
		batch      []*Delivery
		next       int
	}
	in struct {
		sync.Mutex // guards the following
		pending    []*Delivery
		bytes      int // of pending
		outCount   int // of batch when it was swapped out
		outBytes   int
		err        error // the end
	}
}

func newInbox(maxCount, maxBytes int) *inbox {
	return &inbox{maxCount: maxCount, maxBytes: maxBytes, bell: make(chan struct{}, 1)}
}

// push adds batch. It returns those that a bound keeps out. After the end it
// still adds, unless what is held is dropped: the reader had them before.
func (b *inbox) push(batch []*Delivery) (refused []*Delivery) {
	b.in.Lock()
	defer b.in.Unlock()
	if b.dropped.Load() {
		return nil
	}
	for i, d := range batch {
		if b.maxCount > 0 && len(b.in.pending)+b.in.outCount >= b.maxCount ||
			b.maxBytes > 0 && b.in.bytes+b.in.outBytes >= b.maxBytes {
			return batch[i:]
		}
		b.add(d)
	}
	return nil
}

// extend raises the bound of deliveries, if there is one, for another consumer.
func (b *inbox) extend(by int) {
	b.in.Lock()
	defer b.in.Unlock()
	if b.maxCount > 0 {
		b.maxCount += by
	}
}

// force adds d beyond the bounds, up to four times as much.
func (b *inbox) force(d *Delivery) bool {
	b.in.Lock()
	defer b.in.Unlock()
	if b.dropped.Load() {
		return true // nobody is to have it any more
	}
	if b.maxCount > 0 && len(b.in.pending) >= 4*b.maxCount || b.maxBytes > 0 && b.in.bytes >= 4*b.maxBytes {
		return false
	}
	b.add(d)
	return true
}

func (b *inbox) add(d *Delivery) {
	b.in.pending = append(b.in.pending, d)
	b.in.bytes += d.weight()
	if len(b.in.pending) == 1 {
		b.ring()
	}
}

// deliveryOverhead is what a delivery takes in memory besides its content.
const deliveryOverhead = 256

// weight is what d counts towards a bound in bytes: what it holds, so that
// empty bodies and large headers are bounded too.
func (d *Delivery) weight() int { return len(d.props) + len(d.Body) + deliveryOverhead }

// close ends the inbox. With drop what is held is discarded at once.
func (b *inbox) close(err error, drop bool) {
	b.in.Lock()
	defer b.in.Unlock()
	if b.in.err == nil {
		b.in.err = err
	}
	if drop {
		b.dropped.Store(true)
		b.in.pending, b.in.bytes = nil, 0
	}
	b.ring()
}

// empty discards what is held by the reader's half.
func (b *inbox) empty() {
	b.in.Lock()
	defer b.in.Unlock()
	b.in.pending, b.in.bytes = nil, 0
}

func (b *inbox) ring() {
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

// receive returns the next delivery. It waits until there is one, the inbox
// has ended and is empty, or ctx ends.
func (b *inbox) receive(ctx context.Context) (*Delivery, error) {
	for {
		d, err := b.tryReceive()
		if d != nil || err != nil {
			return d, err
		}
		if err := gate.Await(ctx, b.bell); err != nil {
			return nil, err
		}
	}
}

// tryReceive returns the next delivery if one is held, the end if it has
// come, else nothing.
func (b *inbox) tryReceive() (*Delivery, error) {
	b.out.Lock()
	defer b.out.Unlock()
	if b.dropped.Load() {
		b.out.batch, b.out.next = nil, 0
	}
	if b.out.next == len(b.out.batch) {
		if err := b.refill(); err != nil {
			return nil, err
		}
		if len(b.out.batch) == 0 {
			return nil, nil
		}
	}
	d := b.out.batch[b.out.next]
	b.out.batch[b.out.next] = nil
	b.out.next++
	if b.out.next < len(b.out.batch) || b.more() {
		b.ring() // for another receiver: this one may be the one that the bell woke
	}
	return d, nil
}

func (b *inbox) more() bool {
	b.in.Lock()
	defer b.in.Unlock()
	return len(b.in.pending) > 0 || b.in.err != nil
}

// refill swaps the halves. It returns the end once nothing is left.
func (b *inbox) refill() error {
	b.in.Lock()
	defer b.in.Unlock()
	if len(b.in.pending) == 0 && b.in.err != nil {
		b.ring() // every receiver learns of it
		return b.in.err
	}
	b.out.batch, b.in.pending = b.in.pending, b.out.batch[:0]
	b.out.next = 0
	b.in.outCount, b.in.outBytes, b.in.bytes = len(b.out.batch), b.in.bytes, 0
	return nil
}
