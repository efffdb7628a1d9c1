package brokertest

import (
	"slices"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// confirms numbers the publishes of a channel and gathers their verdicts. Guarded by Broker.mu.
type confirms struct {
	on     bool
	last   uint64
	acked  []uint64 // verdicts to send, ascending
	nacked []uint64
	queued bool // the connection knows that there are some
}

func (ch *channel) confirmSelect(m *wire.ConfirmSelect) *state.Refusal {
	if ch.tx != nil {
		return state.Refuse(state.PreconditionFailed, "cannot switch from tx to confirm mode")
	}
	ch.confirms.on = true
	return ch.reply(m.NoWait, &wire.ConfirmSelectOk{})
}

// settle gives the next publish its verdict.
func (k *confirms) settle(ch *channel, ack bool) {
	if !k.on {
		return
	}
	k.last++
	if ack {
		k.acked = append(k.acked, k.last)
	} else {
		k.nacked = append(k.nacked, k.last)
	}
	if !k.queued {
		k.queued = true
		ch.c.confirming = append(ch.c.confirming, ch)
	}
}

// flushConfirms sends the verdicts of all channels. Caller holds Broker.mu.
func (c *conn) flushConfirms() {
	for _, ch := range c.confirming {
		ch.flushConfirms()
		ch.confirms.queued = false
	}
	c.confirming = c.confirming[:0]
}

// flushConfirms sends the channel's verdicts, joined as far as none of the other kind is in between.
func (ch *channel) flushConfirms() {
	k := &ch.confirms
	if len(k.acked) > 0 && len(k.nacked) == 0 {
		ch.c.out = wire.AppendAck(ch.c.out, ch.id, k.last, len(k.acked) > 1)
		ch.c.touch()
	} else {
		ch.sendVerdicts(k.acked, k.nacked, func(tag uint64, multiple bool) wire.Method {
			return &wire.BasicAck{DeliveryTag: tag, Multiple: multiple}
		})
		ch.sendVerdicts(k.nacked, nil, func(tag uint64, multiple bool) wire.Method {
			return &wire.BasicNack{DeliveryTag: tag, Multiple: multiple}
		})
	}
	k.acked, k.nacked = k.acked[:0], k.nacked[:0]
}

// sendVerdicts joins the tags below the first of the others.
func (ch *channel) sendVerdicts(tags, others []uint64, verdict func(tag uint64, multiple bool) wire.Method) {
	joined := len(tags)
	if len(others) > 0 {
		joined, _ = slices.BinarySearch(tags, others[0])
	}
	if joined > 0 {
		ch.send(verdict(tags[joined-1], joined > 1))
	}
	for _, tag := range tags[joined:] {
		ch.send(verdict(tag, false))
	}
}
