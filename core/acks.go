package core

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/warren-mq/warren/core/wire"
)

// maxFrames is the largest buffer of settling frames kept for reuse.
const maxFrames = 64 << 10

// acks gathers the acknowledgements of one channel between two writes and
// turns runs of them into basic.ack with multiple. Nothing waits for it: the
// writer collects what is there each time it is free, so a lone ack leaves at
// once and a thousand leave together.
//
// A multiple ack covers every lower tag of the channel, so it is used only up
// to the end of the settled prefix: tags base and above may still be with a
// handler. On a channel where some tags need no ack (automatic-ack consumers,
// basic.get without ack), must never be acked (a consumer that the server
// cancelled) or can become unsettled again (transactions), prefixes say
// nothing, and every ack is sent by itself.
//
// A nack must never be covered by a multiple ack that comes before it, nor a
// multiple nack cover an ack that comes behind it. So whatever is settled by a
// frame of its own is encoded when it is called, behind the acks before it.
type acks struct {
	channel   uint16
	givesBack bool          // whatever is unsettled when the channel is closed is nacked first, see appendGiveBack
	takes     atomic.Int32  // consumers that need acks: what they are sent may be under way
	pending   atomic.Bool   // there is something to collect
	delivered atomic.Uint64 // highest delivery tag handed over
	stale     atomic.Uint64 // tags up to this one were requeued by a recover; all are while one is under way

	mu      sync.Mutex // guards the following
	settled bitRing    // tags from base: acked or nacked, not yet covered by a multiple
	base    uint64     // lowest tag not known to be settled
	frames  []byte     // encoded frames, written before the acks in ready
	ready   []uint64   // acked since then
	queued  bool       // the writer has been told
	held    bool       // until a commit is answered nothing is collected
	singly  bool       // never use multiple
	covered uint64     // highest tag of a multiple since then, committed if transactional
	tx      *tx        // nil: not transactional
	requeue recovers
	err     error // set once the channel is dead
}

func newAcks(channel uint16, givesBack bool) *acks {
	return &acks{channel: channel, givesBack: givesBack, base: 1}
}

// ack notes that tag is to be acked. It reports whether the writer must be
// told that there is something to collect.
func (a *acks) ack(tag uint64) (tell bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return false, a.err
	}
	if a.isStaleLocked(tag) {
		return false, errRecovered
	}
	if a.isCoveredLocked(tag) || !a.mark(tag) {
		return false, ErrSettled
	}
	a.ready = append(a.ready, tag)
	a.tx.note(tag)
	return a.tellLocked(), nil
}

// tellLocked reports whether the writer must be told.
func (a *acks) tellLocked() bool {
	tell := !a.queued
	a.queued = true
	a.pending.Store(true)
	return tell
}

// settlement settles deliveries by a frame of its own.
type settlement struct {
	method   wire.MethodID // basic.ack, nack or reject
	tag      uint64        // with multiple, 0 means all
	multiple bool
	requeue  bool
}

func (s settlement) append(dst []byte, channel uint16) []byte {
	switch s.method {
	case wire.MethodBasicNack:
		return wire.AppendNack(dst, channel, s.tag, s.multiple, s.requeue)
	case wire.MethodBasicReject:
		return wire.AppendReject(dst, channel, s.tag, s.requeue)
	default:
		return wire.AppendAck(dst, channel, s.tag, s.multiple)
	}
}

// settle notes what s settles, and encodes it. It reports whether the writer
// must be told.
func (a *acks) settle(s settlement) (tell bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.err != nil:
		return false, a.err
	case a.isStaleLocked(s.tag):
		return false, errRecovered
	case a.singly && a.isCoveredLocked(s.tag):
		return false, ErrSettled
	case a.singly && s.multiple:
		a.coverLocked(s.tag)
	case a.singly:
	case s.multiple:
		if s.tag, err = a.lastOpen(s.tag); s.tag == 0 {
			return false, err
		}
	case a.isSettled(s.tag):
		return false, ErrSettled
	}
	a.frames = a.flush(a.frames)
	if !s.multiple {
		a.mark(s.tag)
		a.tx.note(s.tag)
	} else if !a.singly {
		a.settled.drop(s.tag - a.base + 1)
		a.base = s.tag + 1
	} else if s.tag != 0 {
		a.tx.note(s.tag)
	}
	a.frames = s.append(a.frames, a.channel)
	return a.tellLocked(), nil
}

// knows reports whether the channel knows which tags are settled.
func (a *acks) knows() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.singly
}

// settledHere reports whether tag is settled, if that is known.
func (a *acks) settledHere(tag uint64) (settled, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.isSettled(tag), !a.singly
}

// coverLocked notes that a multiple settles everything up to tag; 0 is all that was
// delivered.
func (a *acks) coverLocked(tag uint64) {
	if tag == 0 {
		tag = a.delivered.Load()
	}
	if a.tx == nil {
		a.covered = max(a.covered, tag)
		return
	}
	a.tx.covered = max(a.tx.covered, tag)
}

// isCoveredLocked reports whether a multiple has settled tag.
func (a *acks) isCoveredLocked(tag uint64) bool {
	return tag != 0 && tag <= max(a.covered, a.tx.highest())
}

// lastOpen returns the highest unsettled tag up to and including tag: RabbitMQ
// refuses a multiple whose own tag is not unsettled. Tag 0 is whatever was
// delivered: what is still under way is not meant. With none, tag is 0.
func (a *acks) lastOpen(tag uint64) (uint64, error) {
	last := tag
	if tag == 0 {
		last = a.delivered.Load()
	}
	for ; last >= a.base; last-- {
		if !a.isSettled(last) {
			return last, nil
		}
	}
	if tag == 0 {
		return 0, nil
	}
	return 0, ErrSettled
}

// sendSingly turns multiple off for the rest of the channel's life.
func (a *acks) sendSingly() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget()
}

// forget is sendSingly with the lock held.
func (a *acks) forget() { a.singly, a.settled = true, bitRing{} }

// close makes every later ack fail with err and drops what was not collected.
func (a *acks) close(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closeLocked(err)
}

func (a *acks) closeLocked(err error) {
	if a.err == nil {
		a.err = err
	}
	a.ready, a.frames = nil, nil
}

// collectBefore is collect for the sender of method id, which follows.
func (a *acks) collectBefore(dst []byte, id wire.MethodID) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	dst = a.take(dst)
	switch id {
	case wire.MethodChannelClose:
		dst = a.appendGiveBackLocked(dst)
	case wire.MethodTxSelect:
		if a.tx == nil {
			a.tx = &tx{}
			a.forget() // what is settled from now on may be rolled back
		}
	case wire.MethodTxCommit:
		a.tx.end()
		a.held = true
	case wire.MethodTxRollback:
		a.tx.end()
	case wire.MethodBasicRecover:
		a.requeue.underWay++
		a.stale.Store(math.MaxUint64)
	case wire.MethodBasicRecoverAsync: // there is no answer to wait for
		a.forget() // what is under way is stale too, and stays unsettled
		a.requeuedLocked(a.delivered.Load())
	}
	return dst
}

// collectLast is collect for the sender of the connection's close. Later acks
// fail with stale.
func (a *acks) collectLast(dst []byte, stale error) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	dst = a.appendGiveBackLocked(a.take(dst))
	a.closeLocked(stale)
	return dst
}

// appendGiveBackLocked gives back what is unsettled. A quorum queue of RabbitMQ 4.3
// counts what it gets back by the end of a channel as a failed delivery, and
// drops a message after a number of those; what is nacked it does not count.
// Before 4.0 a nack may put a message behind all others, and saves nothing.
func (a *acks) appendGiveBackLocked(dst []byte) []byte {
	if !a.canGiveBackLocked() {
		return dst
	}
	if last, _ := a.lastOpen(0); last == 0 && a.takes.Load() == 0 && !a.singly {
		return dst
	}
	return wire.AppendNack(dst, a.channel, 0, true, true)
}

// canGiveBackLocked is false in a transaction, whose nacks would be rolled
// back, and behind the channel's close.
func (a *acks) canGiveBackLocked() bool { return a.givesBack && a.tx == nil && a.err == nil }

func (a *acks) canGiveBack() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.canGiveBackLocked()
}

// collect appends the frames for everything settled since the last call.
func (a *acks) collect(dst []byte) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.take(dst)
}

// take is collect with the lock held.
func (a *acks) take(dst []byte) []byte {
	if a.held {
		return dst
	}
	a.queued = false
	a.pending.Store(false)
	dst = append(dst, a.frames...)
	if a.frames = a.frames[:0]; cap(a.frames) > maxFrames {
		a.frames = nil
	}
	return a.flush(dst)
}

// flush appends the frames for what is in ready.
func (a *acks) flush(dst []byte) []byte {
	if !a.singly {
		dst = a.collectPrefix(dst)
	}
	for _, tag := range a.ready {
		dst = wire.AppendAck(dst, a.channel, tag, false)
	}
	a.ready = a.ready[:0]
	return dst
}

// collectPrefix moves base over the settled prefix and covers it with one
// frame; what lies beyond a gap stays in ready.
func (a *acks) collectPrefix(dst []byte) []byte {
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
	return wire.AppendAck(dst, a.channel, last, covered > 1)
}

// maxGap bounds the memory of the ring: one delivery held back while this
// many later ones are acked turns multiple off for the channel.
const maxGap = 1 << 20

// mark notes tag as settled and reports whether it was not before.
func (a *acks) mark(tag uint64) bool {
	if !a.singly && tag-a.base >= maxGap && tag >= a.base {
		a.forget()
	}
	switch {
	case a.singly:
		return true
	case a.isSettled(tag):
		return false
	}
	a.settled.set(tag - a.base)
	return true
}

func (a *acks) isSettled(tag uint64) bool {
	return tag < a.base || a.settled.get(tag-a.base)
}
