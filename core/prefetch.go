package core

import (
	"cmp"

	"github.com/warren-mq/warren/core/wire"
)

// prefetch is what the broker was asked for, in the order of the wire: what is
// sent behind a basic.qos is subject to it, answered or not.
type prefetch struct {
	each   int // for consumers started from now on
	shared int // with Global: for all of the channel's
}

// boundLocked gives c, which is about to start, the bounds that follow from the
// prefetch.
func (ch *Channel) boundLocked(c *Consumer) {
	each, shared := ch.prefetch.each, ch.prefetch.shared
	switch {
	case c.joined:
		c.inbox.extend(2 * each)
	case c.bounded: // MaxBuffered
	case c.noAck || each == 0 && shared == 0:
		c.inbox.maxBytes = DefaultConsumerBytes
	default:
		c.shares = each == 0
		c.inbox.maxCount = 2 * cmp.Or(each, shared) // what was swapped out counts until the next swap
	}
}

// setPrefetchLocked notes that m was sent.
func (ch *Channel) setPrefetchLocked(m *wire.BasicQos) {
	n := int(m.PrefetchCount)
	if !m.Global {
		ch.prefetch.each = n
		return
	}
	ch.prefetch.shared = n
	for c := range ch.startingLocked() {
		c.raise(n)
	}
	for _, c := range ch.consumers {
		c.raise(n)
	}
}

// raise raises the bound of a consumer that shares the channel's prefetch. It
// is never lowered: what was sent before may still come.
func (c *Consumer) raise(n int) {
	if !c.shares {
		return
	}
	b := c.inbox
	b.in.Lock()
	defer b.in.Unlock()
	if n == 0 {
		b.maxCount, b.maxBytes = 0, DefaultConsumerBytes
		c.shares = false
		return
	}
	b.maxCount = max(b.maxCount, 2*n)
}
