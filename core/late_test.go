package core

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core/wire"
)

// RabbitMQ answers basic.consume and basic.cancel behind what it has received
// meanwhile: see the conformance scenarios of brokertest.
func TestRepliesToConsumeAndCancelComeLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		start := func(tag string) (*Consumer, *Reply) {
			c, r, err := ch.StartConsume(bg, BasicConsume{Queue: "q", ConsumerTag: tag})
			noErr(t, err)
			want[*wire.BasicConsume](p, ch.ID())
			return c, r
		}
		named, first := start("c")
		nameless, second := start("")
		other, third := start("d")
		declared := async(func() (QueueDeclareOk, error) { return ch.QueueDeclare(bg, QueueDeclare{Queue: "q"}) })
		want[*wire.QueueDeclare](p, ch.ID())
		p.send(ch.ID(), &wire.QueueDeclareOk{Queue: "q"})
		if ok := declared.get(t); ok.Queue != "q" {
			t.Errorf("%+v", ok)
		}
		p.send(ch.ID(), &wire.BasicConsumeOk{ConsumerTag: "d"}, &wire.BasicConsumeOk{ConsumerTag: "amq.ctag-1"}, &wire.BasicConsumeOk{ConsumerTag: "c"})
		for _, r := range []*Reply{first, second, third} {
			_, err := r.Wait(bg)
			noErr(t, err)
		}
		if named.Tag() != "c" || nameless.Tag() != "amq.ctag-1" || other.Tag() != "d" {
			t.Errorf("tags %q, %q, %q", named.Tag(), nameless.Tag(), other.Tag())
		}
		cancelled := async0(func() error { return named.Cancel(bg) })
		want[*wire.BasicCancel](p, ch.ID())
		qos := async0(func() error { return ch.Qos(bg, BasicQos{PrefetchCount: 1}) })
		want[*wire.BasicQos](p, ch.ID())
		p.send(ch.ID(), &wire.BasicQosOk{})
		qos.get(t)
		p.deliver(ch.ID(), "c", 1, "m") // it is the consumer's until the answer comes
		p.send(ch.ID(), &wire.BasicCancelOk{ConsumerTag: "c"})
		cancelled.get(t)
		d, err := named.Receive(bg)
		noErr(t, err)
		noErr(t, d.Ack())
		noErr(t, ch.Err())
	})
}

// Of a reply that may come late nobody can say that it is not the next one; of others one can.
func TestOtherRepliesComeInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		declared := async(func() (QueueDeclareOk, error) { return ch.QueueDeclare(bg, QueueDeclare{Queue: "q"}) })
		want[*wire.QueueDeclare](p, ch.ID())
		qos := async0(func() error { return ch.Qos(bg, BasicQos{PrefetchCount: 1}) })
		want[*wire.BasicQos](p, ch.ID())
		p.send(ch.ID(), &wire.BasicQosOk{})
		mustIs(t, declared.fail(t), ErrCommandInvalid)
		mustIs(t, qos.fail(t), ErrCommandInvalid)
	})
}

// A second cancel is answered at once, the first behind what is still under way:
// with automatic ack that would be lost.
func TestAConsumerThatIsCancelledTwiceEndsWithTheLastAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{Queue: "q", ConsumerTag: "c", NoAck: true})
		var all []*result[struct{}]
		for range 2 {
			all = append(all, async0(func() error { return c.Cancel(bg) }))
			want[*wire.BasicCancel](p, ch.ID())
		}
		p.send(ch.ID(), &wire.BasicCancelOk{ConsumerTag: "c"})
		synctest.Wait()
		p.deliver(ch.ID(), "c", 1, "m")
		p.send(ch.ID(), &wire.BasicCancelOk{ConsumerTag: "c"})
		for _, r := range all {
			r.get(t)
		}
		d, err := c.Receive(bg)
		noErr(t, err)
		if string(d.Body) != "m" {
			t.Errorf("%q", d.Body)
		}
	})
}

// What RabbitMQ has not answered when it reads channel.close it never answers.
func TestACloseOverTakesWhatIsNotAnswered(t *testing.T) {
	for name, test := range map[string]struct {
		send  func(ch *Channel) error
		taken wire.Method // what the server gets
	}{
		"cancel": {func(ch *Channel) error {
			return ch.Cancel(bg, BasicCancel{ConsumerTag: "c"})
		}, &wire.BasicCancel{}},
		"consume": {func(ch *Channel) error {
			_, err := ch.Consume(bg, BasicConsume{Queue: "q", ConsumerTag: "d"})
			return err
		}, &wire.BasicConsume{}},
		"commit": {func(ch *Channel) error { return ch.TxCommit(bg) }, &wire.TxCommit{}},
		"declare": {func(ch *Channel) error { // nothing that RabbitMQ does, and no reason to lose the connection
			_, err := ch.QueueDeclare(bg, QueueDeclare{Queue: "q"})
			return err
		}, &wire.QueueDeclare{}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				call := async0(func() error { return test.send(ch) })
				if m := p.method(ch.ID()); m.ID() != test.taken.ID() {
					t.Fatalf("sent %s", m.ID())
				}
				closed := async0(func() error { return ch.Close(bg) })
				want[*wire.ChannelClose](p, ch.ID())
				p.send(ch.ID(), &wire.ChannelCloseOk{})
				closed.get(t)
				mustIs(t, call.fail(t), ErrClosed)
				mustIs(t, ch.Err(), ErrClosed)
				noErr(t, ch.Conn().Err())
			})
		})
	}
}

// After an ack timeout RabbitMQ 4.3 takes its time over the answer to the client's cancel.
func TestAServersCancelWhoseAnswerNeverComes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{Queue: "q", ConsumerTag: "c"})
		p.send(ch.ID(), &wire.BasicCancel{ConsumerTag: "c", NoWait: true})
		want[*wire.BasicCancel](p, ch.ID())
		<-c.Done()
		closed := async0(func() error { return ch.Close(bg) })
		want[*wire.ChannelClose](p, ch.ID())
		p.send(ch.ID(), &wire.ChannelCloseOk{})
		closed.get(t)
		noErr(t, ch.Conn().Err())
	})
}

// RabbitMQ may have answered those before the one that it refuses, and closed the channel first.
func TestOfSeveralConsumesAnyMayBeTheRefusedOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		var replies []*Reply
		for _, tag := range []string{"a", "b"} {
			_, r, err := ch.StartConsume(bg, BasicConsume{Queue: "q", ConsumerTag: tag})
			noErr(t, err)
			want[*wire.BasicConsume](p, ch.ID())
			replies = append(replies, r)
		}
		refused := wire.MethodBasicConsume
		p.send(ch.ID(), &wire.ChannelClose{ReplyCode: 404, ClassID: refused.Class(), MethodID: refused.Method()})
		for _, r := range replies {
			_, err := r.Wait(bg)
			mustIs(t, err, ErrNotFound)
			if errors.Is(err, ErrIgnored) {
				t.Errorf("said to be ignored: %v", err)
			}
		}
	})
}
