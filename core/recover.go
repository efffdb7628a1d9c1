package core

import (
	"errors"
	"fmt"
	"math"
)

// recovers is what a channel knows of its basic.recovers. A recover requeues
// every delivery in front of its answer, and the broker then knows those tags
// no more: settling one closes the channel. It is guarded by the lock of the acks.
type recovers struct {
	underWay int    // sent and not answered
	upTo     uint64 // highest tag requeued by one that was
}

var errRecovered = fmt.Errorf("%w: %w", ErrStale, errors.New("basic.recover had it delivered again"))

// isStaleLocked reports whether tag was requeued. Tag 0, for all,
// is stale while a recover is under way: it would settle what is still to come.
func (a *acks) isStaleLocked(tag uint64) bool {
	stale := a.stale.Load()
	return tag <= stale && (tag != 0 || stale == math.MaxUint64)
}

// recovered notes that a recover was answered behind tag.
func (a *acks) recovered(tag uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requeue.underWay--
	a.requeuedLocked(tag)
}

// requeuedLocked notes that everything up to tag was requeued.
func (a *acks) requeuedLocked(tag uint64) {
	a.requeue.upTo = max(a.requeue.upTo, tag)
	if !a.singly && a.base <= tag { // prefixes begin behind it
		a.settled.drop(tag + 1 - a.base)
		a.base = tag + 1
	}
	if a.requeue.underWay == 0 {
		a.stale.Store(a.requeue.upTo)
	}
}

// onRecoverOk drops what waits in the buffers, since it comes again.
func (ch *Channel) onRecoverOk() {
	ch.acks.recovered(ch.in.tag)
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, c := range ch.consumers {
		if !c.noAck {
			c.inbox.empty()
		}
	}
}

// requeued reports whether a recover had the delivery delivered again.
func (d *Delivery) requeued() bool {
	return d.Tag <= d.ch.acks.stale.Load() && !d.settled.Load()
}
