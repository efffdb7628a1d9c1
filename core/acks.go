package core

import (
	"sync"
	"sync/atomic"

	"github.com/warren-mq/warren/core/wire"
)

// acks gathers the acknowledgements of one channel between two writes and
// turns runs of them into basic.ack with multiple. Nothing waits for it: the
// writer collects what is there each time it is free, so a lone ack leaves at
// once and a thousand leave together.
//
// A multiple ack covers every lower tag of the channel, so it is used only up
// to the end of the settled prefix: tags base and above may still be with a
// handler. On a channel where some tags need no ack (automatic-ack consumers,
// basic.get without ack) or must never be acked (a consumer that the server
// cancelled), prefixes say nothing, and every ack is sent by itself.
type acks struct {
	pending atomic.Bool // there is something to collect

	mu      sync.Mutex // guards the following
	settled bitRing    // tags from base: acked or nacked, not yet covered by a multiple
	base    uint64     // lowest tag not known to be settled
	ready   []uint64   // acked since the last collect
	queued  bool       // the writer has been told
	singly  bool       // never use multiple
	err     error      // set once the channel is dead
}

func newAcks() *acks { return &acks{base: 1} }

// ack notes that tag is to be acked. It reports whether the writer must be
// told that there is something to collect.
func (a *acks) ack(tag uint64) (tell bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return false, a.err
	}
	if !a.mark(tag) {
		return false, ErrSettled
	}
	a.ready = append(a.ready, tag)
	tell = !a.queued
	a.queued = true
	a.pending.Store(true)
	return tell, nil
}

// settle notes a tag that the caller settles with a frame of its own: a nack,
// a reject, or with multiple everything up to tag.
func (a *acks) settle(tag uint64, multiple bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	if !multiple {
		if !a.mark(tag) {
			return ErrSettled
		}
		return nil
	}
	if a.singly {
		return nil
	}
	for a.base <= tag {
		a.settled.shift()
		a.base++
	}
	return nil
}

// sendSingly turns multiple off for the rest of the channel's life.
func (a *acks) sendSingly() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.singly = true
	a.settled = bitRing{}
}

// close makes every later ack fail with err and drops what was not collected.
func (a *acks) close(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
	a.ready = nil
}

// collect appends the frames for everything acked since the last call.
func (a *acks) collect(dst []byte, channel uint16) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queued = false
	a.pending.Store(false)
	if !a.singly {
		dst = a.collectPrefix(dst, channel)
	}
	for _, tag := range a.ready {
		dst = wire.AppendAck(dst, channel, tag, false)
	}
	a.ready = a.ready[:0]
	return dst
}

// collectPrefix moves base over the settled prefix and covers it with one
// frame; what lies beyond a gap stays in ready.
func (a *acks) collectPrefix(dst []byte, channel uint16) []byte {
	for a.settled.get(0) {
		a.settled.shift()
		a.base++
	}
	last, covered, rest := uint64(0), 0, a.ready[:0]
	for _, tag := range a.ready {
		if tag < a.base {
			covered++
			last = max(last, tag)
		} else {
			rest = append(rest, tag)
		}
	}
	a.ready = rest
	if covered == 0 {
		return dst
	}
	return wire.AppendAck(dst, channel, last, covered > 1)
}

// maxGap bounds the memory of the ring: one delivery held back while this
// many later ones are acked turns multiple off for the channel.
const maxGap = 1 << 20

// mark notes tag as settled and reports whether it was not before.
func (a *acks) mark(tag uint64) bool {
	if !a.singly && tag-a.base >= maxGap && tag >= a.base {
		a.singly, a.settled = true, bitRing{}
	}
	switch {
	case a.singly:
		return true
	case tag < a.base || a.settled.get(tag-a.base):
		return false
	}
	a.settled.set(tag - a.base)
	return true
}

// bitRing is a queue of bits that grows with the furthest one set.
type bitRing struct {
	words []uint64 // len is a power of two
	head  uint64   // index of bit 0
}

func (r *bitRing) size() uint64 { return uint64(len(r.words)) * 64 }

func (r *bitRing) get(i uint64) bool {
	if i >= r.size() {
		return false
	}
	at := (r.head + i) & (r.size() - 1)
	return r.words[at/64]&(1<<(at%64)) != 0
}

func (r *bitRing) set(i uint64) {
	for i >= r.size() {
		r.grow()
	}
	at := (r.head + i) & (r.size() - 1)
	r.words[at/64] |= 1 << (at % 64)
}

// shift drops bit 0.
func (r *bitRing) shift() {
	if len(r.words) == 0 {
		return
	}
	r.words[r.head/64] &^= 1 << (r.head % 64)
	r.head = (r.head + 1) & (r.size() - 1)
}

func (r *bitRing) grow() {
	bigger := bitRing{words: make([]uint64, max(1, 2*len(r.words)))}
	for i := range r.size() {
		if r.get(i) {
			bigger.words[i/64] |= 1 << (i % 64)
		}
	}
	*r = bigger
}
