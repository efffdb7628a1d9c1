package core

import (
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// tooLarge is what a consumer was given without its body.
type tooLarge struct {
	d    *Delivery
	size uint64
}

// consumeWithout starts a consumer that takes what is too large without its body.
func consumeWithout(p *peer, ch *Channel, m BasicConsume) (*Consumer, chan tooLarge) {
	all := make(chan tooLarge, 10)
	return p.consume(ch, m, OnTooLarge(func(d *Delivery, size uint64) { all <- tooLarge{d, size} })), all
}

// A message above MaxBody goes to the consumer's function without its body, in its turn; those before and
// behind it are received, and it can be rejected.
func TestTooLargeIsTakenWithoutItsBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{MaxBody: 1000, FrameMax: 8192})
		c, all := consumeWithout(p, ch, BasicConsume{ConsumerTag: "c"})
		p.deliver(ch.ID(), "c", 1, "before")
		p.sendContent(ch.ID(), &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 2, RoutingKey: "k"}, Properties{MessageID: "large"}, make([]byte, 1001))
		p.deliver(ch.ID(), "c", 3, strings.Repeat("x", 1000))
		for _, size := range []int{len("before"), 1000} {
			if d := receive(t, c); len(d.Body) != size {
				t.Errorf("body of %d bytes", len(d.Body))
			}
		}
		got := <-all
		if d := got.d; got.size != 1001 || d.Body != nil || d.Tag != 2 || d.RoutingKey != "k" || d.MessageID() != "large" || d.Settled() {
			t.Errorf("%d bytes: %+v", got.size, d)
		}
		noErr(t, got.d.Reject(false))
		if m := want[*wire.BasicReject](p, ch.ID()); m.DeliveryTag != 2 || m.Requeue {
			t.Errorf("%+v", m)
		}
		noErr(t, ch.Err())
	})
}

func TestTooLargeWithAutomaticAckIsSettled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{MaxBody: 10})
		_, all := consumeWithout(p, ch, BasicConsume{ConsumerTag: "c", NoAck: true})
		p.deliver(ch.ID(), "c", 1, strings.Repeat("x", 11))
		mustIs(t, (<-all).d.Ack(), ErrSettled)
	})
}

// What belongs to nobody is put back, however large.
func TestTooLargeForNobodyIsPutBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{MaxBody: 10})
		p.deliver(ch.ID(), "nobody", 1, strings.Repeat("x", 11))
		if m := want[*wire.BasicNack](p, ch.ID()); m.DeliveryTag != 1 || !m.Requeue {
			t.Errorf("%+v", m)
		}
		noErr(t, ch.Err())
	})
}

// A publish that comes back is recognised though its body is not kept.
func TestTooLargeReturnHasItsPublish(t *testing.T) {
	for _, id := range []string{"", "id"} {
		bubble(t, func(t *testing.T) {
			ch, p := openChannel(t, Config{MaxBody: 1000})
			p.confirm(ch)
			publishing := Publishing{RoutingKey: "none", Mandatory: true, Body: []byte(strings.Repeat("abc", 3000)), Properties: Properties{MessageID: id}}
			c, err := ch.PublishConfirm(bg, &publishing)
			noErr(t, err)
			p.content(ch.ID())
			p.sendContent(ch.ID(), &wire.BasicReturn{ReplyCode: 312, RoutingKey: "none"}, publishing.Properties, publishing.Body)
			p.send(ch.ID(), &wire.BasicAck{DeliveryTag: 1})
			v, err := c.Wait(bg)
			noErr(t, err)
			if v.Outcome != OutcomeReturned || v.Return.Body != nil || v.Return.RoutingKey != "none" {
				t.Errorf("%+v", v)
			}
		})
	}
}

// A body that is skipped takes no memory.
func TestTooLargeTakesNoMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{MaxBody: 1000, Heartbeat: -1})
		_, all := consumeWithout(p, ch, BasicConsume{ConsumerTag: "c"})
		const frames, size = 1024, 64 << 10
		header, err := wire.AppendHeader(encoded(t, ch.ID(), &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1}), ch.ID(), wire.ClassBasic, frames*size, &Properties{})
		noErr(t, err)
		frame := wire.AppendBody(nil, ch.ID(), make([]byte, size), 0)
		inMemory(t, 4<<20, func() {
			p.raw(header)
			for range frames {
				p.raw(frame)
			}
			if got := <-all; got.size != frames*size {
				t.Errorf("%d bytes", got.size)
			}
		})
	})
}
