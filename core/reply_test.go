package core

import (
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// Before RabbitMQ 4.2 all direct replies have the delivery tag that the next delivery gets too: see the
// conformance scenarios of brokertest.
func TestDirectRepliesHaveTheTagOfTheNextDelivery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		replies := p.consume(ch, BasicConsume{Queue: "amq.rabbitmq.reply-to", ConsumerTag: "r", NoAck: true})
		queue := p.consume(ch, BasicConsume{Queue: "q", ConsumerTag: "q"})
		p.deliver(ch.ID(), "r", 1, "first")
		p.deliver(ch.ID(), "r", 1, "second")
		p.deliver(ch.ID(), "q", 1, "message")
		p.deliver(ch.ID(), "r", 2, "third")
		for _, want := range []string{"first", "second", "third"} {
			if d := receive(t, replies); string(d.Body) != want {
				t.Errorf("received %q, want %q", d.Body, want)
			}
		}
		noErr(t, receive(t, queue).Ack())
		if ack := want[*wire.BasicAck](p, ch.ID()); ack.DeliveryTag != 1 || ack.Multiple {
			t.Errorf("%+v", ack)
		}
		p.deliver(ch.ID(), "q", 1, "again") // of a queue they grow
		<-ch.Done()
		mustIs(t, ch.Err(), ErrCommandInvalid)
		noErr(t, ch.Conn().Err())
	})
}

// Replies may be under way to a consumer that was given up; their tags say no more.
func TestDirectRepliesToAConsumerThatWasGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.consume(ch, BasicConsume{Queue: "amq.rabbitmq.reply-to", ConsumerTag: "r", NoAck: true})
		queue := p.consume(ch, BasicConsume{Queue: "q", ConsumerTag: "q"})
		noErr(t, ch.Cancel(bg, BasicCancel{ConsumerTag: "r", NoWait: true}))
		want[*wire.BasicCancel](p, ch.ID())
		p.deliver(ch.ID(), "r", 1, "first")
		p.deliver(ch.ID(), "r", 1, "second")
		p.deliver(ch.ID(), "q", 1, "message")
		noErr(t, receive(t, queue).Ack())
		if n := ch.Conn().Stats().Dropped; n != 2 {
			t.Errorf("%d replies dropped", n)
		}
	})
}
