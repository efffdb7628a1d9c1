// Package offsets follows what a consumer of a stream has settled, since a stream delivers nothing
// again by itself.
package offsets

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/core"
)

// Offsets follows the deliveries of a stream, to know where to go on after a
// loss: at the first one that is not settled. What was settled beyond it is
// Delivered again. Its methods are safe for concurrent use.
type Offsets struct {
	Turn chan struct{} // capacity 1: held by whoever receives, until the delivery is noted
	kind atomic.Int32

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

// New returns the offsets of a consumer that has not subscribed yet.
func New() *Offsets { return &Offsets{Turn: make(chan struct{}, 1)} }

// Kind is what is known of the queue.
type Kind int32

// The kinds.
const (
	Unknown Kind = iota // until it has delivered
	Stream
	Seen  // a stream, as far as its deliveries tell
	Plain // none
)

// Kind returns what is known of the queue.
func (o *Offsets) Kind() Kind { return Kind(o.kind.Load()) }

// SetKind notes what is known of the queue.
func (o *Offsets) SetKind(k Kind) { o.kind.Store(int32(k)) }

// IsStream reports whether the queue is known to be a stream.
func (o *Offsets) IsStream() bool {
	kind := o.Kind()
	return kind == Stream || kind == Seen
}

// Learn settles the queue's kind by a delivery: RabbitMQ gives each of a stream its
// offset, and none of them twice. A message that was moved from a stream
// elsewhere may have one too, but not for ever alone.
func (o *Offsets) Learn(d *core.Delivery) {
	kind := o.Kind()
	if kind == Stream || kind == Plain {
		return
	}
	if _, numbered := Of(d); numbered && !d.Redelivered {
		o.SetKind(Seen)
		return
	}
	o.SetKind(Plain)
	o.Forget()
}

// IsNone learns from a refusal that the queue is no stream: RabbitMQ takes no offset for another one. It
// reports whether to subscribe without.
func (o *Offsets) IsNone(err error) bool {
	refused := core.AsError(err).Says(core.ErrPreconditionFailed, Header)
	if kind := o.Kind(); kind == Stream || kind == Plain || !refused {
		return false
	}
	o.SetKind(Plain)
	o.Forget()
	return true
}

// Subscribed notes that a subscription that was asked for at a time is taken.
func (o *Offsets) Subscribed(since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = since
	}
}

// Beginning returns when the first subscription was asked for; zero: there was
// none, or it was of no stream.
func (o *Offsets) Beginning() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.none {
		return time.Time{}
	}
	return o.since
}

// Delivered notes a delivery of a subscription.
func (o *Offsets) Delivered(round int, offset uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if round == o.round { // else it comes again
		o.pending = append(o.pending, pendingOffset{offset: offset})
	}
}

// Settled notes that a delivery is done with.
func (o *Offsets) Settled(offset uint64) {
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

// Restart forgets what is pending, which comes again, and returns where the
// next subscription begins, if that is known.
func (o *Offsets) Restart() (round int, next uint64, known bool) {
	next, known = o.Position()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.round++
	o.next, o.known, o.pending = next, known, nil
	return o.round, next, known
}

// Replaced notes that there is another stream under the name, and all in it is new.
func (o *Offsets) Replaced() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.round++
	o.known = o.known || len(o.pending) > 0
	o.next, o.pending = 0, nil
}

// Forget notes that it is no stream.
func (o *Offsets) Forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.none, o.known, o.pending = true, false, nil
}

// Position returns the first offset that is not settled.
func (o *Offsets) Position() (next uint64, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) > 0 {
		return o.pending[0].offset, true
	}
	return o.next, o.known
}

// Header is the argument of basic.consume that says where in a stream to
// begin, and the header with a delivery's offset. (RabbitMQ, "Streams".)
const Header = "x-stream-offset"

// Of returns the offset of a stream's delivery; false: it has none.
func Of(d *core.Delivery) (uint64, bool) {
	v, _ := d.Header(Header)
	offset, ok := v.(int64)
	return uint64(offset), ok && offset >= 0
}

// Arguments returns args for the next subscription, and which of them it is. It begins where the last one
// is to be continued, or, while that is not known, at from, which is nil where the application did not say.
func (o *Offsets) Arguments(args core.Table, from any) (core.Table, int) {
	round, next, known := o.Restart()
	switch {
	case known:
		from = int64(next)
	case from == nil || from == "next":
		if since := o.Beginning(); !since.IsZero() {
			from = interval(time.Since(since))
		}
	}
	if from == nil {
		return args, round
	}
	with := core.Table{}
	if len(args) > 0 {
		with = args.Clone()
	}
	with[Header] = from
	return with, round
}

// interval returns the place in a stream that was its end so long ago, by the
// broker's clock, in whole seconds and with some to spare.
func interval(ago time.Duration) string {
	return fmt.Sprintf("%ds", int64(ago/time.Second)+3)
}

// largestChunk is how many messages of a stream RabbitMQ stores together at most. Before
// 4.0 it also delivers them together, however little of the prefetch is left.
const largestChunk = 8192

// Buffer bounds what waits of a stream that is consumed with a prefetch.
func Buffer(prefetch int) core.ConsumeOption { return core.MaxBuffered(2*(prefetch+largestChunk), 0) }
