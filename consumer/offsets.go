package consumer

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// offsets follows the deliveries of a stream, to know where to go on after a
// loss: at the first one that is not settled. What was settled beyond it is
// delivered again.
type offsets struct {
	turn chan struct{} // capacity 1: who receives, and notes it, at a time

	mu      sync.Mutex // guards the following
	since   time.Time  // the first subscription
	none    bool       // what it brought was of no stream
	round   int        // subscriptions so far
	next    uint64     // where to go on when nothing is pending
	known   bool       // next is
	pending []pendingOffset
}

// pendingOffset is a delivery, in the order of the stream.
type pendingOffset struct {
	offset  uint64
	settled bool
}

func newOffsets() *offsets { return &offsets{turn: make(chan struct{}, 1)} }

// subscribed notes that a subscription that was asked for at a time is taken.
func (o *offsets) subscribed(since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = since
	}
}

// beginning returns when the first subscription was asked for; zero: there was
// none, or it was of no stream.
func (o *offsets) beginning() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.none {
		return time.Time{}
	}
	return o.since
}

// delivered notes a delivery of a subscription.
func (o *offsets) delivered(round int, offset uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if round == o.round { // else it comes again
		o.pending = append(o.pending, pendingOffset{offset: offset})
	}
}

// settled notes that a delivery is done with.
func (o *offsets) settled(offset uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i, found := slices.BinarySearchFunc(o.pending, offset, func(p pendingOffset, offset uint64) int {
		return cmp.Compare(p.offset, offset)
	})
	if !found { // of a subscription before
		return
	}
	o.pending[i].settled = true
	for len(o.pending) > 0 && o.pending[0].settled {
		o.next, o.known = o.pending[0].offset+1, true
		o.pending = o.pending[1:]
	}
}

// restart forgets what is pending, which comes again, and returns where the
// next subscription begins, if that is known.
func (o *offsets) restart() (round int, next uint64, known bool) {
	next, known = o.position()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.round++
	o.next, o.known, o.pending = next, known, nil
	return o.round, next, known
}

// replaced notes that there is another stream under the name, all of which is new.
func (o *offsets) replaced() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.round++
	o.known = o.known || len(o.pending) > 0
	o.next, o.pending = 0, nil
}

// forget notes that it is no stream.
func (o *offsets) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.none, o.known, o.pending = true, false, nil
}

// position returns the first offset that is not settled.
func (o *offsets) position() (next uint64, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) > 0 {
		return o.pending[0].offset, true
	}
	return o.next, o.known
}
