package brokertest

import (
	"slices"
	"time"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// confirms numbers the publishes of a channel and gathers their verdicts. Guarded by Broker.mu.
type confirms struct {
	on     bool
	last   uint64
	acked  []uint64 // verdicts to send, ascending
	nacked []uint64
	held   []uint64 // without a verdict, ascending
	queued bool     // the connection knows that there are verdicts
}

func (ch *channel) confirmSelect(m *wire.ConfirmSelect) *state.Refusal {
	if ch.tx != nil {
		return state.Refuse(state.PreconditionFailed, "cannot switch from tx to confirm mode")
	}
	ch.confirms.on = true
	return ch.reply(m.NoWait, &wire.ConfirmSelectOk{})
}

// settle gives the next publish its verdict.
func (k *confirms) settle(ch *channel, v verdict, after time.Duration) {
	if !k.on {
		return
	}
	k.last++
	switch v {
	case usual:
		k.acked = append(k.acked, k.last)
	case nack:
		k.nacked = append(k.nacked, k.last)
	default:
		k.held = append(k.held, k.last)
		if v == late {
			ch.confirmLate(k.last, after)
		}
		return
	}
	k.queue(ch)
}

// queue has the connection send the channel's verdicts.
func (k *confirms) queue(ch *channel) {
	if !k.queued {
		k.queued = true
		ch.c.confirming = append(ch.c.confirming, ch)
	}
}

// confirmLate sends a confirm after some time, if the channel is still there.
func (ch *channel) confirmLate(tag uint64, after time.Duration) {
	b := ch.c.b
	time.AfterFunc(after, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		k := &ch.confirms
		if i, ok := slices.BinarySearch(k.held, tag); ok && !ch.ended() {
			k.held = slices.Delete(k.held, i, i+1)
			ch.send(&wire.BasicAck{DeliveryTag: tag})
			b.wake()
		}
	})
}

// flushConfirms sends the verdicts of all channels. Caller holds Broker.mu.
func (c *conn) flushConfirms() {
	for _, ch := range c.confirming {
		ch.flushConfirms()
		ch.confirms.queued = false
	}
	c.confirming = c.confirming[:0]
}

// flushConfirms sends the channel's verdicts, joined where all tags below have the same.
func (ch *channel) flushConfirms() {
	k := &ch.confirms
	if len(k.acked)+len(k.nacked) == 0 {
		return
	}
	held := k.last + 1
	if len(k.held) > 0 {
		held = k.held[0]
	}
	cutoff := held
	if len(k.nacked) > 0 {
		cutoff = min(held, k.nacked[0])
	}
	joined, _ := slices.BinarySearch(k.acked, cutoff)
	if joined > 0 {
		ch.c.out = wire.AppendAck(ch.c.out, ch.id, k.acked[joined-1], joined > 1)
	}
	for _, tag := range k.acked[joined:] {
		ch.c.out = wire.AppendAck(ch.c.out, ch.id, tag, false)
	}
	for _, tag := range k.nacked {
		ch.c.out = wire.AppendNack(ch.c.out, ch.id, tag, false, true) // with requeue, as RabbitMQ does it
	}
	ch.c.touch()
	k.acked, k.nacked = k.acked[:0], k.nacked[:0]
}
