package brokertest

import (
	"slices"
	"time"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// delivery is a message that the client has and has not settled.
type delivery struct {
	tag      uint64
	queue    *state.Queue
	entry    *state.Entry    // nil: settled
	consumer *state.Consumer // nil: by basic.get
	deadline time.Time       // to be settled by
	expired  bool            // it was not, and the queue has the message back
}

// settle tells the queue.
func (d delivery) settle(v state.Verdict) {
	if d.expired {
		d.consumer.Revive()
		return
	}
	d.queue.Settle(d.consumer, d.entry, v)
}

// unacked holds the deliveries of a channel by ascending tag.
type unacked struct {
	items []delivery
	head  int // the first that is not settled
	count int
}

func (u *unacked) add(d delivery) {
	if u.head > 64 && u.head > len(u.items)/2 {
		n := copy(u.items, u.items[u.head:])
		clear(u.items[n:])
		u.items, u.head = u.items[:n], 0
	}
	u.items = append(u.items, d)
	u.count++
}

// take removes one delivery, or all up to it, and calls f with each. It reports whether there was the one.
func (u *unacked) take(tag uint64, multiple bool, f func(delivery)) bool {
	i, found := slices.BinarySearchFunc(u.items[u.head:], tag, func(d delivery, tag uint64) int {
		switch {
		case d.tag < tag:
			return -1
		case d.tag > tag:
			return 1
		}
		return 0
	})
	i += u.head
	if !found || u.items[i].entry == nil {
		return false
	}
	from := i
	if multiple {
		from = u.head
	}
	for ; from <= i; from++ {
		u.settle(from, f)
	}
	u.skip()
	return true
}

func (u *unacked) settle(i int, f func(delivery)) {
	if d := u.items[i]; d.entry != nil {
		u.items[i].entry = nil
		u.count--
		f(d)
	}
}

// takeAll removes all deliveries.
func (u *unacked) takeAll(f func(delivery)) {
	u.takeIf(func(delivery) bool { return true }, f)
}

// takeIf removes some deliveries.
func (u *unacked) takeIf(which func(delivery) bool, f func(delivery)) {
	for i := u.head; i < len(u.items); i++ {
		if which(u.items[i]) {
			u.settle(i, f)
		}
	}
	u.skip()
}

// skip moves the head over what is settled.
func (u *unacked) skip() {
	for u.head < len(u.items) && u.items[u.head].entry == nil {
		u.items[u.head] = delivery{}
		u.head++
	}
	if u.head == len(u.items) {
		u.items, u.head = u.items[:0], 0
	}
}

// putBack adds deliveries that were taken.
func (u *unacked) putBack(ds []delivery) {
	all := slices.DeleteFunc(append(slices.Clone(u.items[u.head:]), ds...), func(d delivery) bool { return d.entry == nil })
	slices.SortFunc(all, func(a, b delivery) int {
		if a.tag < b.tag {
			return -1
		}
		return 1
	})
	*u = unacked{items: all, count: len(all)}
}

func nackVerdict(requeue bool) state.Verdict {
	if requeue {
		return state.Requeue
	}
	return state.Reject
}

func rejectVerdict(requeue bool) state.Verdict {
	if requeue {
		return state.RejectReturn
	}
	return state.Discard
}

// settle carries out ack, nack and reject.
func (ch *channel) settle(tag uint64, multiple bool, v state.Verdict) *state.Refusal {
	do := func(d delivery) { d.settle(v) }
	if ch.tx != nil {
		do = func(d delivery) { ch.tx.settlements = append(ch.tx.settlements, settlement{d, v}) }
	}
	if ch.shared > 0 {
		defer ch.wakeConsumers()
	}
	if tag == 0 && multiple {
		ch.unacked.takeAll(do)
		return nil
	}
	if !ch.unacked.take(tag, multiple, do) {
		return state.Refuse(state.PreconditionFailed, "unknown delivery tag %d", tag)
	}
	return nil
}

// recover has all unsettled deliveries sent again. The answer is sent first if there is one: deliveries
// begin when the method is done.
func (ch *channel) recover(requeue bool, ok wire.Method) *state.Refusal {
	if !requeue {
		return state.Refuse(state.NotImplemented, "requeue=false")
	}
	ch.unacked.takeAll(func(d delivery) { d.settle(state.Requeue) })
	ch.wakeConsumers()
	if ok == nil {
		return nil
	}
	return ch.reply(false, ok)
}
