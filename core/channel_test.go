package core

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

func TestChannelOpensAndCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		if ch.ID() != 1 || ch.Conn() == nil || ch.Err() != nil {
			t.Errorf("channel %d, %v", ch.ID(), ch.Err())
		}
		done := async0(func() error { return ch.Close(bg) })
		if m := want[*wire.ChannelClose](p, 1); m.ReplyCode != 200 {
			t.Errorf("%+v", m)
		}
		done.waits(t)
		p.send(1, &wire.ChannelCloseOk{})
		done.get(t)
		select {
		case <-ch.Done():
		default:
			t.Error("Close returned before Done")
		}
		mustIs(t, ch.Err(), ErrClosed)
		noErr(t, ch.Close(bg))
		_, err := ch.QueueDeclare(bg, QueueDeclare{})
		mustIs(t, err, ErrClosed)
		mustIs(t, ch.Publish(bg, &Publishing{}), ErrClosed)
		_, err = ch.Consume(bg, BasicConsume{})
		mustIs(t, err, ErrClosed)
		p.quiet()
		noErr(t, ch.Conn().Err())
	})
}

// A freed id is used again as late as possible.
func TestChannelIDs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openTuned(t, Config{}, &wire.ConnectionTune{ChannelMax: 3})
		var all []*Channel
		for range 3 {
			all = append(all, p.channel(c))
		}
		_, err := c.Channel(bg)
		mustIs(t, err, ErrChannelsExhausted)
		p.quiet()
		for _, i := range []int{1, 0} {
			done := async0(func() error { return all[i].Close(bg) })
			want[*wire.ChannelClose](p, all[i].ID())
			p.send(all[i].ID(), &wire.ChannelCloseOk{})
			done.get(t)
		}
		if got := []uint16{p.channel(c).ID(), p.channel(c).ID()}; !slices.Equal(got, []uint16{2, 1}) {
			t.Errorf("ids %v", got)
		}
	})
}

func TestIDPool(t *testing.T) {
	p := newIDPool(3)
	var got []uint16
	for range 3 {
		id, _ := p.take()
		got = append(got, id)
	}
	if _, ok := p.take(); ok || !slices.Equal(got, []uint16{1, 2, 3}) {
		t.Errorf("ids %v, then more", got)
	}
	for range 100_000 {
		p.free(got[0])
		id, ok := p.take()
		if !ok || id != got[0] {
			t.Fatalf("id %d, %v", id, ok)
		}
	}
	largest := newIDPool(65535)
	n := 0
	for _, ok := largest.take(); ok; _, ok = largest.take() {
		n++
	}
	if n != 65535 {
		t.Errorf("%d ids", n)
	}
}

// A refusal is one channel's, and carries what the server said of it.
func TestServerClosesTheChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		sibling := p.channel(ch.Conn())
		consumer := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		p.deliver(ch.ID(), "c", 1, "held")
		p.deliver(ch.ID(), "c", 2, "waiting")
		d := receive(t, consumer)
		rpc := async0(func() error { return ch.ExchangeDeclare(bg, ExchangeDeclare{Exchange: "x", Passive: true}) })
		want[*wire.ExchangeDeclare](p, ch.ID())
		p.send(ch.ID(), &wire.ChannelClose{ReplyCode: 404, ReplyText: "NOT_FOUND - no exchange 'x'", ClassID: 40, MethodID: 10})
		want[*wire.ChannelCloseOk](p, ch.ID())
		err := rpc.fail(t)
		mustIs(t, err, ErrNotFound)
		e := mustAs[*Error](t, err)
		if *e != (Error{Code: 404, Text: "NOT_FOUND - no exchange 'x'", Method: "exchange.declare", Channel: ch.ID(), Scope: ScopeChannel, Server: true}) {
			t.Errorf("%+v", e)
		}
		<-ch.Done()
		for _, settle := range []func() error{d.Ack, func() error { return d.Nack(true) }, func() error { return ch.Ack(1, false) }} {
			err := settle()
			mustIs(t, err, ErrStale)
			mustIs(t, err, ErrNotFound)
		}
		_, err = consumer.Receive(bg) // what waited is dropped: it comes again
		mustIs(t, err, ErrNotFound)
		mustIs(t, consumer.Err(), ErrNotFound)
		p.quiet()

		noErr(t, sibling.Publish(bg, &Publishing{}))
		p.content(sibling.ID())
		if next := p.channel(ch.Conn()); next.ID() != 3 {
			t.Errorf("id %d used again at once", next.ID())
		}
	})
}

// Both sides close at once: each answers the other, and the id is free after both.
func TestChannelClosesCross(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openTuned(t, Config{}, &wire.ConnectionTune{ChannelMax: 1})
		ch := p.channel(c)
		done := async0(func() error { return ch.Close(bg) })
		want[*wire.ChannelClose](p, 1)
		p.send(1, &wire.ChannelClose{ReplyCode: 406})
		want[*wire.ChannelCloseOk](p, 1)
		done.get(t)
		mustIs(t, ch.Err(), ErrPreconditionFailed)
		_, err := c.Channel(bg)
		mustIs(t, err, ErrChannelsExhausted)
		p.send(1, &wire.ChannelCloseOk{})
		synctest.Wait()
		p.channel(c)
		noErr(t, c.Err())
	})
}

// givenUpInsideAContent returns a channel that was given up in the middle of
// a large message, and the call that publishes it.
func givenUpInsideAContent(t *testing.T) (*Channel, *peer, *result[struct{}]) {
	t.Helper()
	c, p := openTuned(t, Config{WriteBuffer: 1}, &wire.ConnectionTune{ChannelMax: 1})
	ch := p.channel(c)
	p.nc.In().SetBuffer(0)
	publish := async0(func() error { return ch.Publish(bg, &Publishing{Body: make([]byte, 1<<20)}) })
	publish.waits(t)
	p.deliver(1, "nobody", 0, "a tag that cannot be")
	<-ch.Done()
	mustIs(t, ch.Err(), ErrCommandInvalid)
	return ch, p, publish
}

// The message is finished, or the connection would be lost; then comes the close.
func TestChannelIsGivenUpInsideAContent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p, publish := givenUpInsideAContent(t)
		p.nc.In().SetBuffer(2 << 20)
		if n := len(p.content(1).body); n != 1<<20 {
			t.Errorf("%d bytes", n)
		}
		want[*wire.ChannelClose](p, 1)
		publish.get(t) // the server has it
		p.send(1, &wire.ChannelCloseOk{})
		synctest.Wait()
		p.channel(ch.Conn())
	})
}

// If the server closes it meanwhile, nothing follows the answer: neither the
// rest of the message nor a close of this side. The id is free at once. Unless
// the sender was faster: then the message is whole, and the close was sent.
func TestServerClosesAChannelGivenUpInsideAContent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p, publish := givenUpInsideAContent(t)
		p.send(1, &wire.ChannelClose{ReplyCode: 404})
		synctest.Wait()
		p.nc.In().SetBuffer(2 << 20)
		want[*wire.BasicPublish](p, 1)
		f, sent := p.frame(), 0
		for ; f.Type != wire.FrameMethod; f = p.frame() {
			if f.Type == wire.FrameBody {
				sent += len(f.Payload)
			}
		}
		id, _ := wire.PeekMethod(f.Payload)
		whole := sent == 1<<20
		if whole != (id == wire.MethodChannelClose) {
			t.Errorf("%s after %d bytes", id, sent)
		}
		if whole {
			publish.get(t)
		} else {
			mustIs(t, publish.fail(t), ErrCommandInvalid)
		}
		if id == wire.MethodChannelClose {
			want[*wire.ChannelCloseOk](p, 1)
			p.send(1, &wire.ChannelCloseOk{})
			synctest.Wait()
		} else if id != wire.MethodChannelCloseOk {
			t.Errorf("%s", id)
		}
		p.quiet()
		p.channel(ch.Conn())
		noErr(t, ch.Conn().Err())
	})
}

// What the server sent before it heard of the close is ignored, content in
// pieces too, and nothing of it reaches the next channel of that id.
func TestFramesForAClosedChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openTuned(t, Config{RPCTimeout: time.Second}, &wire.ConnectionTune{ChannelMax: 1})
		ch := p.channel(c)
		mustIs(t, ch.ExchangeDeclare(bg, ExchangeDeclare{}), ErrTimeout)
		want[*wire.ExchangeDeclare](p, 1)
		want[*wire.ChannelClose](p, 1)
		p.deliver(1, "c", 1, "late")
		p.send(1, &wire.ExchangeDeclareOk{}, &wire.BasicAck{DeliveryTag: 9}, &wire.ChannelFlow{}, &wire.BasicCancel{})
		p.quiet()
		p.send(1, &wire.ChannelCloseOk{})
		synctest.Wait()
		noErr(t, c.Err())
		if n := c.Stats().Ignored; n != 7 { // a delivery is three frames
			t.Errorf("%d frames ignored", n)
		}
		p.channel(c)
		p.send(1, &wire.ChannelCloseOk{}) // which the new one did not ask for
		want[*wire.ConnectionClose](p, 0)
		<-c.Done()
	})
}

// A close and its answer that come for a channel that is gone harm nobody: each
// close is answered once, and answers are ignored.
func TestClosesOfAChannelThatIsGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		sibling := p.channel(ch.Conn())
		p.send(1, &wire.ChannelClose{ReplyCode: 404}, &wire.ChannelClose{ReplyCode: 406}, &wire.ChannelCloseOk{}, &wire.ChannelCloseOk{})
		want[*wire.ChannelCloseOk](p, 1)
		want[*wire.ChannelCloseOk](p, 1)
		p.quiet()
		mustIs(t, ch.Err(), ErrNotFound)
		if n := ch.Conn().Stats().Ignored; n != 2 {
			t.Errorf("%d ignored", n)
		}
		noErr(t, sibling.Err())
		noErr(t, ch.Conn().Err())
	})
}

// Nothing follows a channel.close: an ack behind it would close the connection.
func TestNothingFollowsTheChannelsClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		consumer := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		for tag := range uint64(3) {
			p.deliver(ch.ID(), "c", tag+1, "x")
		}
		first, second, third := receive(t, consumer), receive(t, consumer), receive(t, consumer)
		p.nc.In().Stall() // so that everything below meets in the outbox
		noErr(t, first.Ack())
		done := async0(func() error { return ch.Close(bg) })
		synctest.Wait()
		mustIs(t, second.Ack(), ErrStale)
		mustIs(t, third.Nack(true), ErrStale)
		mustIs(t, ch.Publish(bg, &Publishing{}), ErrClosed)
		mustIs(t, ch.QueueBind(bg, QueueBind{NoWait: true}), ErrClosed)
		p.nc.In().Resume()
		if m := want[*wire.BasicAck](p, ch.ID()); m.DeliveryTag != 1 || m.Multiple {
			t.Errorf("%+v", m)
		}
		want[*wire.ChannelClose](p, ch.ID())
		p.quiet()
		p.send(ch.ID(), &wire.ChannelCloseOk{})
		done.get(t)
	})
}

func TestChannelCloseIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{RPCTimeout: time.Second})
		mustIs(t, ch.Close(bg), ErrTimeout)
		<-ch.Done()
		want[*wire.ChannelClose](p, ch.ID())
		p.quiet()

		other := p.channel(ch.Conn())
		ctx, cancel := context.WithCancel(bg)
		done := async0(func() error { return other.Close(ctx) })
		done.waits(t)
		cancel()
		mustIs(t, done.fail(t), context.Canceled)
		<-other.Done()
		mustIs(t, other.Err(), ErrClosed)
	})
}

// An open that nobody waits for any more gives its id back.
func TestChannelOpenIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openTuned(t, Config{RPCTimeout: time.Minute}, &wire.ConnectionTune{ChannelMax: 1})
		ctx, cancel := context.WithCancel(bg)
		open := async(func() (*Channel, error) { return c.Channel(ctx) })
		want[*wire.ChannelOpen](p, 1)
		cancel()
		mustIs(t, open.fail(t), context.Canceled)
		want[*wire.ChannelClose](p, 1)
		p.send(1, &wire.ChannelOpenOk{}, &wire.ChannelCloseOk{})
		synctest.Wait()
		p.channel(c)

		_, err := c.Channel(ctx)
		if !errors.Is(err, ErrChannelsExhausted) {
			t.Errorf("%v", err)
		}
		p.quiet()
	})
}

// Without an open on the wire there is nothing to close, and the id is free.
func TestChannelOpenThatWasNeverSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openTuned(t, Config{}, &wire.ConnectionTune{ChannelMax: 1})
		cause := errors.New("the request is over")
		ctx, cancel := context.WithCancelCause(bg)
		cancel(cause)
		for range 3 {
			_, err := c.Channel(ctx)
			mustIs(t, err, cause)
		}
		p.quiet()
		noErr(t, c.Err())
		if id := p.channel(c).ID(); id != 1 {
			t.Errorf("id %d", id)
		}
	})
}

func TestServerRefusesTheOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{})
		open := async(func() (*Channel, error) { return c.Channel(bg) })
		want[*wire.ChannelOpen](p, 1)
		p.send(1, &wire.ChannelClose{ReplyCode: 506})
		want[*wire.ChannelCloseOk](p, 1)
		mustIs(t, open.fail(t), ErrResource)
		p.quiet()
	})
}

// Goroutines that use, close and lose channels at once end, each with a reason.
func TestChannelsUnderConcurrentUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{})
		go runEcho(p)
		var all []*result[struct{}]
		for i := range 32 {
			all = append(all, async0(func() error {
				for range 20 {
					ch, err := c.Channel(bg)
					if err != nil {
						return err
					}
					if _, err := ch.QueueDeclare(bg, QueueDeclare{Queue: "q"}); err != nil {
						return err
					}
					if i%2 == 0 {
						_ = ch.Publish(bg, &Publishing{Body: []byte("x")})
					}
					if err := ch.Close(bg); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		for _, call := range all {
			call.get(t)
		}
		_ = c.Close(bg)
	})
}

// runEcho answers every request with its first reply, until the socket closes.
func runEcho(p *peer) {
	for {
		f, err := p.readFrame(time.Hour)
		if err != nil {
			return
		}
		if f.Type != wire.FrameMethod {
			continue
		}
		m, err := p.dec.Method(f.Payload)
		if err != nil {
			return
		}
		if reply := echoOf(m); reply != nil {
			b, _ := wire.AppendMethod(nil, f.Channel, reply)
			p.raw(b)
		}
	}
}

// echoOf is a reply to m that repeats its names, nil for none.
func echoOf(m wire.Method) wire.Method {
	replies := wire.Replies(m.ID())
	if len(replies) == 0 {
		return nil
	}
	switch m := m.(type) {
	case *wire.QueueDeclare:
		return &wire.QueueDeclareOk{Queue: m.Queue}
	case *wire.BasicConsume:
		return &wire.BasicConsumeOk{ConsumerTag: m.ConsumerTag}
	case *wire.BasicCancel:
		return &wire.BasicCancelOk{ConsumerTag: m.ConsumerTag}
	case *wire.ChannelFlow:
		return &wire.ChannelFlowOk{Active: m.Active}
	case *wire.BasicGet:
		return &wire.BasicGetEmpty{}
	}
	return wire.NewMethod(replies[0])
}

// A channel that ends in the middle of a message leaves nothing behind: what the next one of its id sends
// leaves at once, acks too.
func TestNextChannelAfterAnEndInsideAContent(t *testing.T) {
	for name, givenUp := range map[string]bool{"closed by the server": false, "given up, then closed by the server": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, p := openTuned(t, Config{}, &wire.ConnectionTune{ChannelMax: 1, FrameMax: 131072})
				ch := p.channel(c)
				p.nc.In().SetBuffer(100_000)
				publish := async0(func() error { return ch.Publish(bg, &Publishing{Body: make([]byte, 8<<20)}) })
				publish.waits(t)
				if givenUp {
					p.deliver(1, "nobody", 0, "a tag that cannot be")
					<-ch.Done()
				}
				p.send(1, &wire.ChannelClose{ReplyCode: 404})
				synctest.Wait()
				p.nc.In().SetBuffer(16 << 20)
				publish.fail(t)
				f := p.frame()
				for id := wire.MethodID(0); id != wire.MethodChannelCloseOk; id, _ = wire.PeekMethod(f.Payload) {
					f = p.frame()
					if f.Type != wire.FrameMethod {
						f.Payload = nil
					}
				}
				p.quiet()

				next := p.channel(c)
				if next.ID() != 1 {
					t.Fatalf("channel %d", next.ID())
				}
				consumer := p.consume(next, BasicConsume{ConsumerTag: "c"})
				p.deliver(1, "c", 1, "x")
				noErr(t, receive(t, consumer).Ack())
				if m := want[*wire.BasicAck](p, 1); m.DeliveryTag != 1 {
					t.Errorf("%+v", m)
				}
			})
		})
	}
}
