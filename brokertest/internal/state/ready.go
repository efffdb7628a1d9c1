package state

import (
	"slices"
	"time"
)

// Entry is a message in a queue.
type Entry struct {
	Message     *Message
	Redelivered bool
	Offset      uint64 // of a stream

	position  uint64    // in the queue; a message that comes back keeps it
	expires   time.Time // zero: never
	acquired  int       // how often it was handed to a client before
	failed    int       // how often that counts against the delivery limit
	published time.Time // of a stream
}

// ready holds the messages of a queue that wait for a consumer, those of higher priority first.
type ready struct {
	lanes        []lane
	returnsFirst bool // of a quorum queue: what came back goes before all else, in the order of its coming back
	returns      fifo // with returnsFirst
	weighted     bool // of a quorum queue of RabbitMQ 4.0 to 4.2: two lanes, of which the high one gets two turns of three
	turn         int  // with weighted
	len          int
	bytes        int64
}

// lane holds messages of one priority in the order of their positions.
type lane struct {
	fresh fifo // as published
	back  heap // what was taken and came back
}

func newReady(priorities int, returnsFirst bool) ready {
	return ready{lanes: make([]lane, priorities), returnsFirst: returnsFirst}
}

// newQuorumReady knows no priorities before RabbitMQ 4.0, and few before 4.3.
func (v *VHost) newQuorumReady() ready {
	switch {
	case v.Before40:
		return newReady(1, true)
	case v.Before43:
		r := newReady(2, true)
		r.weighted = true
		return r
	}
	return newReady(quorumPriorities, true)
}

func (r *ready) lane(e *Entry) *lane {
	p := int(e.Message.Priority)
	if r.returnsFirst && !e.Message.hasPriority {
		p = quorumDefaultPriority
	}
	if r.weighted {
		p = max(p-quorumDefaultPriority, 0)
	}
	return &r.lanes[min(p, len(r.lanes)-1)]
}

func (r *ready) add(e *Entry, by int) {
	r.len += by
	r.bytes += int64(by * len(e.Message.Body))
}

// push adds a new message.
func (r *ready) push(e *Entry) {
	r.lane(e).fresh.push(e)
	r.add(e, 1)
}

// putBack adds a message that was taken before, in its old place.
func (r *ready) putBack(e *Entry) {
	r.add(e, 1)
	if r.returnsFirst {
		r.returns.push(e)
		return
	}
	r.lane(e).back.push(e)
}

// peek returns the next message, nil if there is none.
func (r *ready) peek() *Entry {
	if e := r.returns.peek(); e != nil {
		return e
	}
	if e := r.lanes[0].peek(); e != nil && r.weighted && r.turn == 2 {
		return e
	}
	for i := len(r.lanes) - 1; i >= 0; i-- {
		if e := r.lanes[i].peek(); e != nil {
			return e
		}
	}
	return nil
}

// pop takes the next message away.
func (r *ready) pop() *Entry {
	e := r.peek()
	if e == nil {
		return nil
	}
	r.add(e, -1)
	if e == r.returns.peek() {
		return r.returns.pop()
	}
	r.turn = (r.turn + 1) % 3
	return r.lane(e).pop()
}

// expired takes away the next message if keep does not hold for it, looking at the head of each lane, as
// RabbitMQ does.
func (r *ready) expired(keep func(*Entry) bool) *Entry {
	if e := r.returns.peek(); e != nil && !keep(e) {
		r.add(e, -1)
		return r.returns.pop()
	}
	for i := len(r.lanes) - 1; i >= 0; i-- {
		if e := r.lanes[i].peek(); e != nil && !keep(e) {
			r.add(e, -1)
			return r.lanes[i].pop()
		}
	}
	return nil
}

// heads calls f with the messages that can expire next.
func (r *ready) heads(f func(*Entry)) {
	if e := r.returns.peek(); e != nil {
		f(e)
	}
	for i := range r.lanes {
		if e := r.lanes[i].peek(); e != nil {
			f(e)
		}
	}
}

// all returns the messages in the order in which they go.
func (r *ready) all() []*Entry {
	c := *r
	c.returns.items = slices.Clone(r.returns.items)
	c.lanes = slices.Clone(r.lanes)
	for i := range c.lanes {
		l := &c.lanes[i]
		l.fresh.items, l.back = slices.Clone(l.fresh.items), slices.Clone(l.back)
	}
	var all []*Entry
	for e := c.pop(); e != nil; e = c.pop() {
		all = append(all, e)
	}
	return all
}

// clear takes everything away.
func (r *ready) clear() {
	*r = ready{lanes: make([]lane, len(r.lanes)), returnsFirst: r.returnsFirst, weighted: r.weighted, turn: r.turn}
}

func (l *lane) peek() *Entry {
	fresh, back := l.fresh.peek(), l.back.peek()
	if back != nil && (fresh == nil || back.position < fresh.position) {
		return back
	}
	return fresh
}

func (l *lane) pop() *Entry {
	if e := l.peek(); e == nil || e != l.back.peek() {
		return l.fresh.pop()
	}
	return l.back.pop()
}

// fifo is a queue that gives its memory back.
type fifo struct {
	items []*Entry
	head  int
}

func (f *fifo) push(e *Entry) {
	if f.head > 64 && f.head > len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, e)
}

func (f *fifo) peek() *Entry {
	if f.head == len(f.items) {
		return nil
	}
	return f.items[f.head]
}

func (f *fifo) pop() *Entry {
	e := f.peek()
	if e == nil {
		return nil
	}
	f.items[f.head] = nil
	if f.head++; f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return e
}
