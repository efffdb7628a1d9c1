package consumer

import (
	"context"
	"fmt"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/topology"
)

// known returns what is known of the queue on a session's broker.
func (c *Consumer) known(s *session.Session) knowledge {
	var q topology.Queue
	declared := false
	if r := c.conn.Recorder(); r != nil {
		q, declared = r.Lookup(c.Queue())
	}
	return know(q, declared, s.Conn.Server())
}

// knowledge returns what is known of the queue of the latest subscription.
func (f *feed) knowledge() knowledge {
	if sub := f.latestSubscription(); sub != nil {
		return sub.known
	}
	return knowledge{}
}

// prefetchFor returns the prefetch for a queue. A window of no more than the delivery limit, of
// which each life of a service handles at least the first, is lived through.
func (c *config) prefetchFor(k knowledge) int {
	switch {
	case c.sized:
		return c.prefetch
	case k.counts && !c.stream:
		return max(SmallPrefetch, 2*c.workers)
	}
	return max(DefaultPrefetch, c.workers)
}

// Messages that have failed and wait occupy places of the prefetch, and all of them must not: a queue
// gives back in front of all others what is returned to it, so the good ones behind would never come.
// So when more than half of a prefetch is occupied, another consumer adds one, on the same channel, until
// there are ten or enough wait to fill the memory; it goes when it is not needed.
const (
	mostExtra    = 9
	maxHeldBytes = core.DefaultConsumerBytes
)

// wantedLocked returns how many further consumers sub should have next: one more, one less, or as many.
func (f *feed) wantedLocked(sub *subscription) int {
	have := len(sub.extra)
	if f.c.cfg.autoAck || f.c.offsets.IsStream() || f.c.cfg.exclusive || sub.known.single || sub.prefetch < 2 {
		return have
	}
	n, bytes := f.later.size(sub.ch)
	size := f.extraPrefetch(sub)
	switch {
	case have < mostExtra && n > sub.prefetch/2+have*size && bytes < maxHeldBytes:
		return have + 1
	case have > 0 && n <= sub.prefetch/4+(have-1)*size:
		return have - 1
	}
	return have
}

// extraPrefetch is the prefetch of a further consumer.
func (f *feed) extraPrefetch(sub *subscription) int {
	if f.c.cfg.sized {
		return sub.prefetch
	}
	return max(sub.prefetch, DefaultPrefetch)
}

// changeSlots adds or ends a further consumer if the number of those that wait asks for it.
func (f *feed) changeSlots() {
	f.mu.Lock()
	defer f.mu.Unlock()
	sub := f.current
	if sub == nil || f.adding || f.ctx.Err() != nil || f.wantedLocked(sub) == len(sub.extra) {
		return
	}
	f.adding = true
	f.slots.Go(func() { f.runSlots(sub) })
}

// runSlots changes the number of further consumers until it is right.
func (f *feed) runSlots(sub *subscription) {
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.adding = false
	}()
	for {
		f.mu.Lock()
		want, have, over := f.wantedLocked(sub), len(sub.extra), f.current != sub
		f.mu.Unlock()
		if want == have || over || f.ctx.Err() != nil {
			return
		}
		var err error
		if want > have {
			err = f.addSlots(sub)
		} else {
			err = f.endSlots(sub)
		}
		if err != nil {
			return // the channel's end is noticed where it matters
		}
	}
}

// addSlots starts a further consumer.
func (f *feed) addSlots(sub *subscription) error {
	if err := sub.ch.Qos(f.ctx, core.BasicQos{PrefetchCount: uint16(f.extraPrefetch(sub))}); err != nil {
		return err
	}
	sub.extras++
	tag := sub.consumer.Tag()
	c, err := sub.ch.Consume(f.ctx, core.BasicConsume{
		Queue: f.c.Queue(), ConsumerTag: fmt.Sprintf("%.240s.%d", tag, sub.extras), Arguments: f.c.cfg.args,
	}, core.Into(sub.consumer), core.OnTooLarge(sub.large.take))
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	sub.extra = append(sub.extra, c)
	return nil
}

// endSlots ends the latest further consumer; what it has brought stays.
func (f *feed) endSlots(sub *subscription) error {
	f.mu.Lock()
	last := len(sub.extra) - 1
	c := sub.extra[last]
	sub.extra = sub.extra[:last]
	f.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(f.ctx, closeTimeout, core.ErrTimeout)
	defer cancel()
	return c.Cancel(ctx)
}

// awaitSlots waits until no further consumer is added any more. The feed has stopped.
func (f *feed) awaitSlots() {
	f.mu.Lock() // its last holder has added to slots, or found the end
	//lint:ignore SA2001 see above
	f.mu.Unlock()
	f.slots.Wait()
}
