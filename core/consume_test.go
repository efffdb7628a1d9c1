package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core/wire"
)

func TestConsumeSendsItsArguments(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		m := BasicConsume{Queue: "q", ConsumerTag: "c", NoLocal: true, NoAck: true, Exclusive: true, Arguments: wire.Table{"x-priority": int32(3)}}
		done := async(func() (*Consumer, error) { return ch.Consume(bg, m) })
		if got := want[*BasicConsume](p, 1); !reflect.DeepEqual(*got, m) {
			t.Errorf("sent %+v", got)
		}
		done.waits(t)
		p.send(1, &wire.BasicConsumeOk{ConsumerTag: "c"})
		if c := done.get(t); c.Tag() != "c" || c.Channel() != ch || c.Err() != nil {
			t.Errorf("%+v", c)
		}
	})
}

func TestDeliveryHasEverythingOfTheMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{Queue: "q"}) // the server gives the tag
		props := Properties{ContentType: "t", MessageID: "m", Headers: wire.Table{"h": int64(7), "x-death": []any{wire.Table{"count": int64(2)}}}}
		p.sendContent(1, &wire.BasicDeliver{ConsumerTag: c.Tag(), DeliveryTag: 1, Redelivered: true, Exchange: "e", RoutingKey: "k"}, props, []byte("body"))
		d := receive(t, c)
		if d.ConsumerTag != "amq.ctag-1" || d.Tag != 1 || !d.Redelivered || d.Exchange != "e" || d.RoutingKey != "k" || string(d.Body) != "body" || d.Channel() != ch {
			t.Errorf("%+v", d)
		}
		if got := d.Properties(); !reflect.DeepEqual(got, props) {
			t.Errorf("properties %+v", got)
		}
		if v, ok := d.Header("h"); !ok || v != int64(7) || d.MessageID() != "m" {
			t.Errorf("header %v, message id %q", v, d.MessageID())
		}
		if _, ok := d.Header("none"); ok {
			t.Error("a header that is not there")
		}
		d.Body[0] = 'B' // the receiver's to keep
		p.deliver(1, c.Tag(), 2, "")
		if e := receive(t, c); len(e.Body) != 0 || string(d.Body) != "Body" {
			t.Errorf("%q, %q", e.Body, d.Body)
		}
	})
}

// A delivery may come right behind the consume-ok, in the same packet.
func TestDeliveryRightBehindTheConsumeOk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		done := async(func() (*Consumer, error) { return ch.Consume(bg, BasicConsume{}) })
		want[*BasicConsume](p, 1)
		b := encoded(t, 1, &wire.BasicConsumeOk{ConsumerTag: "gen"})
		p.raw(append(b, contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: "gen", DeliveryTag: 1}, Properties{}, []byte("x"))...))
		if d := receive(t, done.get(t)); d.Tag != 1 {
			t.Errorf("%+v", d)
		}
	})
}

func TestContentInPieces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		other := p.channel(ch.Conn())
		b := encoded(t, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1})
		b, _ = wire.AppendHeader(b, 1, wire.ClassBasic, 5, &Properties{})
		p.raw(wire.AppendBody(b, 1, []byte("12"), 0))
		p.send(2, &wire.ChannelFlow{Active: true}) // another channel's frame in between is fine
		want[*wire.ChannelFlowOk](p, other.ID())
		p.raw(wire.AppendBody([]byte{wire.FrameBody, 0, 1, 0, 0, 0, 0, wire.FrameEnd}, 1, []byte("345"), 0)) // an empty one too
		if d := receive(t, c); string(d.Body) != "12345" {
			t.Errorf("body %q", d.Body)
		}
	})
}

func TestReceiveWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		if d, err := c.TryReceive(); d != nil || err != nil {
			t.Errorf("%v, %v", d, err)
		}
		ctx, cancel := context.WithCancel(bg)
		gone := async(func() (*Delivery, error) { return c.Receive(ctx) })
		gone.waits(t)
		cancel()
		mustIs(t, gone.fail(t), context.Canceled)
		one := async(func() (*Delivery, error) { return c.Receive(bg) })
		two := async(func() (*Delivery, error) { return c.Receive(bg) })
		one.waits(t)
		p.deliver(1, "c", 1, "x")
		p.deliver(1, "c", 2, "x")
		if a, b := one.get(t), two.get(t); a.Tag+b.Tag != 3 {
			t.Errorf("tags %d and %d", a.Tag, b.Tag)
		}
	})
}

// Every receiver gets its share, and each delivery one receiver.
func TestManyReceivers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		got := make(chan uint64, 2000)
		var all []*result[struct{}]
		for range 8 {
			all = append(all, async0(func() error {
				for {
					d, err := c.Receive(bg)
					if err != nil {
						return err
					}
					got <- d.Tag
				}
			}))
		}
		for tag := range uint64(1000) {
			p.deliver(1, "c", tag+1, "x")
		}
		synctest.Wait()
		seen := map[uint64]bool{}
		for range 1000 {
			tag := <-got
			if seen[tag] {
				t.Fatalf("tag %d twice", tag)
			}
			seen[tag] = true
		}
		p.nc.Reset()
		for _, r := range all {
			if r.fail(t) == nil {
				t.Error("no error")
			}
		}
	})
}

func TestAllYieldsUntilTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		p.deliver(1, "c", 1, "x")
		p.deliver(1, "c", 2, "x")
		synctest.Wait()
		for d, err := range c.All(bg) {
			if noErr(t, err); d.Tag == 1 {
				break // does not cancel it
			}
		}
		cancel := async0(func() error { return c.Cancel(bg) })
		want[*BasicCancel](p, 1)
		p.send(1, &wire.BasicCancelOk{ConsumerTag: "c"})
		cancel.get(t)
		var tags []uint64
		var last error
		for d, err := range c.All(bg) {
			if last = err; err == nil {
				tags = append(tags, d.Tag)
			}
		}
		if len(tags) != 1 || !errors.Is(last, ErrClosed) {
			t.Errorf("%v, then %v", tags, last)
		}
	})
}

// After a cancel what has arrived can still be received and acked.
func TestCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		cancel := async0(func() error { return c.Cancel(bg) })
		if m := want[*BasicCancel](p, 1); m.ConsumerTag != "c" || m.NoWait {
			t.Errorf("%+v", m)
		}
		p.deliver(1, "c", 1, "under way")
		cancel.waits(t)
		noErr(t, c.Err())
		p.send(1, &wire.BasicCancelOk{ConsumerTag: "another"}) // the answer's tag says nothing
		cancel.get(t)
		<-c.Done()
		mustIs(t, c.Err(), ErrClosed)
		noErr(t, receive(t, c).Ack())
		want[*wire.BasicAck](p, 1)
		_, err := c.Receive(bg)
		mustIs(t, err, ErrClosed)
		noErr(t, c.Cancel(bg)) // again
		p.deliver(1, "c", 2, "late")
		if m := want[*wire.BasicNack](p, 1); m.DeliveryTag != 2 || !m.Requeue || m.Multiple {
			t.Errorf("%+v", m)
		}
		p.quiet()
	})
}

func TestCancelByTagWithoutWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		noErr(t, ch.Cancel(bg, BasicCancel{ConsumerTag: "c", NoWait: true}))
		want[*BasicCancel](p, 1)
		<-c.Done()
		mustIs(t, c.Err(), ErrClosed)
		again := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		p.deliver(1, "c", 1, "x")
		receive(t, again)
	})
}

// A cancel-ok ends the consumer that was cancelled, not the next one with its tag.
func TestLateCancelOk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.consume(ch, BasicConsume{ConsumerTag: "c"})
		p.send(1, &BasicCancel{ConsumerTag: "c", NoWait: true})
		want[*BasicCancel](p, 1)
		next, err := ch.Consume(bg, BasicConsume{ConsumerTag: "c", NoWait: true})
		noErr(t, err)
		want[*BasicConsume](p, 1)
		p.send(1, &wire.BasicCancelOk{ConsumerTag: "c"})
		p.deliver(1, "c", 1, "x")
		receive(t, next)
		noErr(t, next.Err())

		cancel := async0(func() error { return next.Cancel(bg) })
		want[*BasicCancel](p, 1)
		p.send(1, &wire.BasicCancelOk{ConsumerTag: "c"})
		cancel.get(t)
		<-next.Done()
	})
}

// A consume and its cancel may be in flight together.
func TestCancelOfAConsumeInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c, started, err := ch.StartConsume(bg, BasicConsume{ConsumerTag: "c"})
		noErr(t, err)
		cancelled, err := ch.Request(bg, &BasicCancel{ConsumerTag: "c"})
		noErr(t, err)
		want[*BasicConsume](p, 1)
		want[*BasicCancel](p, 1)
		p.send(1, &wire.BasicConsumeOk{ConsumerTag: "c"}, &wire.BasicCancelOk{ConsumerTag: "c"})
		for _, r := range []*Reply{started, cancelled} {
			_, err := r.Wait(bg)
			noErr(t, err)
		}
		<-c.Done()
		p.consume(ch, BasicConsume{ConsumerTag: "c"})
	})
}

// A server's cancel ends the consumer, is answered with a cancel of this side,
// and makes its deliveries stale; the channel and other consumers live on.
func TestServerCancels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		other := p.consume(ch, BasicConsume{ConsumerTag: "other"})
		p.deliver(1, "c", 1, "held")
		p.deliver(1, "other", 2, "x")
		p.deliver(1, "c", 3, "waiting")
		held, fine := receive(t, c), receive(t, other)
		for range 3 { // a flood is answered once
			p.send(1, &BasicCancel{ConsumerTag: "c", NoWait: true})
		}
		p.send(1, &BasicCancel{ConsumerTag: "never heard of", NoWait: true})
		if m := want[*BasicCancel](p, 1); m.ConsumerTag != "c" || m.NoWait {
			t.Errorf("%+v", m)
		}
		p.quiet()
		<-c.Done()
		_, err := c.Receive(bg)
		mustIs(t, err, ErrCancelled)
		mustIs(t, c.Err(), ErrCancelled)
		for _, settle := range []func() error{held.Ack, func() error { return held.Nack(true) }, func() error { return held.Reject(false) }, held.Stale} {
			err := settle()
			mustIs(t, err, ErrStale)
			mustIs(t, err, ErrCancelled)
		}
		noErr(t, fine.Stale())
		noErr(t, fine.Ack())
		if m := want[*wire.BasicAck](p, 1); m.DeliveryTag != 2 || m.Multiple {
			t.Errorf("%+v", m)
		}
		p.send(1, &wire.BasicCancelOk{ConsumerTag: "c"})
		p.deliver(1, "other", 4, "x")
		receive(t, other)
		noErr(t, ch.Err())
		p.consume(ch, BasicConsume{ConsumerTag: "c"}) // the tag is free
	})
}

// A consumer that is not read is cancelled at its bound; what had come can be
// received, and neither other consumers nor calls wait for it.
func TestOverflow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		slow := p.consume(ch, BasicConsume{ConsumerTag: "slow", NoAck: true}, MaxBuffered(3, 0))
		fast := p.consume(ch, BasicConsume{ConsumerTag: "fast", NoAck: true})
		for tag := range uint64(5) {
			p.deliver(1, "slow", tag+1, "x")
		}
		if m := want[*BasicCancel](p, 1); m.ConsumerTag != "slow" {
			t.Errorf("%+v", m)
		}
		p.deliver(1, "fast", 6, "x")
		receive(t, fast)
		p.send(1, &wire.BasicCancelOk{ConsumerTag: "slow"})
		<-slow.Done()
		for range 5 {
			receive(t, slow)
		}
		_, err := slow.Receive(bg)
		mustIs(t, err, ErrOverflow)
		noErr(t, ch.Err())
		p.quiet()
	})
}

func TestOverflowBeyondAllBoundsClosesTheChannel(t *testing.T) {
	for name, opt := range map[string]ConsumeOption{"count": MaxBuffered(3, 0), "bytes": MaxBuffered(0, 3*deliveryOverhead)} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				c := p.consume(ch, BasicConsume{ConsumerTag: "c"}, opt)
				for tag := range uint64(30) {
					p.deliver(1, "c", tag+1, "x")
				}
				want[*BasicCancel](p, 1)
				want[*wire.ChannelClose](p, 1)
				<-ch.Done()
				_, err := c.Receive(bg)
				mustIs(t, err, ErrOverflow)
				mustIs(t, ch.Err(), ErrOverflow)
				noErr(t, ch.Conn().Err())
			})
		})
	}
}

// With a prefetch the bound follows from it, and a server that keeps to it never meets it.
func TestPrefetchBoundsTheBuffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.qos(ch, 10)
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		tag := uint64(0)
		for range 50 {
			for range 10 {
				tag++
				p.deliver(1, "c", tag, "x")
			}
			for range 10 {
				noErr(t, receive(t, c).Ack())
			}
			synctest.Wait()
		}
		noErr(t, c.Err())
		for range 100 { // ten times what was asked for
			tag++
			p.deliver(1, "c", tag, "x")
		}
		<-c.Done()
	})
}

// The bound follows from what the broker was asked for, however that was
// asked, and before it has answered.
func TestBoundFollowsEveryQos(t *testing.T) {
	qos := func(n uint16, global bool) wire.Method { return &BasicQos{PrefetchCount: n, Global: global} }
	for name, tt := range map[string]struct {
		before, after []wire.Method
		want          int
	}{
		"none":                             {nil, nil, 0},
		"one":                              {[]wire.Method{qos(10, false)}, nil, 20},
		"raised":                           {[]wire.Method{qos(10, false), qos(1000, false)}, nil, 2000},
		"raised too late for the consumer": {[]wire.Method{qos(10, false)}, []wire.Method{qos(1000, false)}, 20},
		"off again":                        {[]wire.Method{qos(10, false), qos(0, false)}, nil, 0},
		"global":                           {[]wire.Method{qos(10, true)}, nil, 20},
		"global, raised":                   {[]wire.Method{qos(10, true)}, []wire.Method{qos(1000, true)}, 2000},
		"global, lowered":                  {[]wire.Method{qos(10, true)}, []wire.Method{qos(3, true)}, 20},
		"global, off":                      {[]wire.Method{qos(10, true)}, []wire.Method{qos(0, true)}, 0},
		"both":                             {[]wire.Method{qos(10, false), qos(1000, true)}, []wire.Method{qos(2000, true)}, 20},
		"global, set later":                {nil, []wire.Method{qos(10, true)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, _ := openChannel(t, Config{})
				request := func(all []wire.Method) {
					for _, m := range all {
						_, err := ch.Request(bg, m)
						noErr(t, err)
					}
				}
				request(tt.before)
				c, _, err := ch.StartConsume(bg, BasicConsume{ConsumerTag: "c"})
				noErr(t, err)
				noWait, err := ch.Consume(bg, BasicConsume{ConsumerTag: "n", NoWait: true})
				noErr(t, err)
				mine, err := ch.Consume(bg, BasicConsume{ConsumerTag: "m", NoWait: true}, MaxBuffered(7, 8))
				noErr(t, err)
				request(tt.after)
				for _, c := range []*Consumer{c, noWait} {
					wantBytes := 0
					if tt.want == 0 {
						wantBytes = DefaultConsumerBytes
					}
					if c.inbox.maxCount != tt.want || c.inbox.maxBytes != wantBytes {
						t.Errorf("%s: %d, %d bytes", c.tag, c.inbox.maxCount, c.inbox.maxBytes)
					}
				}
				if mine.inbox.maxCount != 7 || mine.inbox.maxBytes != 8 {
					t.Errorf("%d, %d bytes", mine.inbox.maxCount, mine.inbox.maxBytes)
				}
			})
		})
	}
}

// A Qos whose answer nobody waits for any more is in force all the same.
func TestQosIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.qos(ch, 10)
		ctx, cancel := context.WithCancel(bg)
		call := async0(func() error { return ch.Qos(ctx, BasicQos{PrefetchCount: 100}) })
		want[*BasicQos](p, 1)
		cancel()
		mustIs(t, call.fail(t), context.Canceled)
		p.send(1, &wire.BasicQosOk{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		for tag := range uint64(100) {
			p.deliver(1, "c", tag+1, "x")
		}
		p.quiet()
		noErr(t, c.Err())
	})
}

func TestConsumerWithoutPrefetchIsBoundedInBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c", NoAck: true})
		body := string(make([]byte, 1<<20))
		for tag := range uint64(65) {
			p.deliver(1, "c", tag+1, body)
		}
		if m := want[*BasicCancel](p, 1); m.ConsumerTag != "c" {
			t.Errorf("%+v", m)
		}
		noErr(t, ch.Err())
		_ = c
	})
}

// Properties count, and so does what a delivery takes without any content.
func TestBytesBoundMoreThanBodies(t *testing.T) {
	for name, props := range map[string]wire.Properties{
		"nothing": {},
		"headers": {Headers: wire.Table{"k": strings.Repeat("v", 60_000)}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const limit = 256 << 10
				ch, p := openChannel(t, Config{})
				c := p.consume(ch, BasicConsume{ConsumerTag: "c", NoAck: true}, MaxBuffered(0, limit))
				sent := 0
				for ; !c.overflowed.Load() && sent < 2*limit/deliveryOverhead; sent++ {
					p.sendContent(1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: uint64(sent) + 1}, props, nil)
					synctest.Wait()
				}
				want[*BasicCancel](p, 1)
				p.send(1, &wire.BasicCancelOk{ConsumerTag: "c"})
				<-c.Done()
				for range sent {
					receive(t, c)
				}
				_, err := c.Receive(bg)
				mustIs(t, err, ErrOverflow)
				noErr(t, ch.Err())
			})
		})
	}
}

func TestConsumersAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{MaxConsumers: 2})
		for i := range 2 {
			p.consume(ch, BasicConsume{ConsumerTag: fmt.Sprint(i)})
		}
		_, err := ch.Consume(bg, BasicConsume{})
		mustAs[*ValidationError](t, err)
		p.quiet()
	})
}

// Those in flight count too.
func TestConsumersInFlightAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{MaxConsumers: 3})
		_, err := ch.Consume(bg, BasicConsume{ConsumerTag: "a", NoWait: true})
		noErr(t, err)
		for range 2 {
			_, _, err := ch.StartConsume(bg, BasicConsume{})
			noErr(t, err)
		}
		for _, m := range []BasicConsume{{}, {ConsumerTag: "b", NoWait: true}} {
			_, _, err = ch.StartConsume(bg, m)
			mustAs[*ValidationError](t, err)
		}
		for range 3 {
			want[*BasicConsume](p, 1)
		}
		p.quiet()
	})
}

// What ended a channel ends its consumers, and frees their memory.
func TestConnectionLossDropsWhatWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		for tag := range uint64(10) {
			p.deliver(1, "c", tag+1, "x")
		}
		d := receive(t, c)
		_ = p.nc.Close()
		<-c.Done()
		if _, err := c.Receive(bg); !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
		for range 2 { // stale stays stale
			err := d.Ack()
			mustIs(t, err, ErrStale)
			mustIs(t, err, io.EOF)
		}
		mustIs(t, d.Stale(), ErrStale)
	})
}

func TestGet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		get := async(func() (*Delivery, error) { return ch.Get(bg, BasicGet{Queue: "q"}) })
		if m := want[*BasicGet](p, 1); m.Queue != "q" || m.NoAck {
			t.Errorf("%+v", m)
		}
		p.sendContent(1, &wire.BasicGetOk{DeliveryTag: 1, Redelivered: true, Exchange: "e", RoutingKey: "k", MessageCount: 5}, Properties{MessageID: "m"}, []byte("b"))
		d := get.get(t)
		if d.Tag != 1 || !d.Redelivered || d.Exchange != "e" || d.RoutingKey != "k" || d.MessageCount != 5 || string(d.Body) != "b" || d.ConsumerTag != "" || d.MessageID() != "m" {
			t.Errorf("%+v", d)
		}
		noErr(t, d.Ack())
		want[*wire.BasicAck](p, 1)

		get = async(func() (*Delivery, error) { return ch.Get(bg, BasicGet{Queue: "q", NoAck: true}) })
		want[*BasicGet](p, 1)
		p.send(1, &wire.BasicGetEmpty{})
		if d := get.get(t); d != nil {
			t.Errorf("%+v", d)
		}
		get = async(func() (*Delivery, error) { return ch.Get(bg, BasicGet{Queue: "q", NoAck: true}) })
		want[*BasicGet](p, 1)
		p.sendContent(1, &wire.BasicGetOk{DeliveryTag: 2}, Properties{}, nil)
		mustIs(t, get.get(t).Ack(), ErrSettled)
		p.quiet()
	})
}

func TestRepeatedDeliveryTagEndsTheChannel(t *testing.T) {
	for _, tag := range []uint64{0, 4, 5} {
		bubble(t, func(t *testing.T) {
			ch, p := openChannel(t, Config{})
			p.consume(ch, BasicConsume{ConsumerTag: "c"})
			p.deliver(1, "c", 5, "x")
			p.deliver(1, "c", tag, "x")
			if m := want[*wire.ChannelClose](p, 1); Code(m.ReplyCode) != ErrCommandInvalid {
				t.Errorf("%+v", m)
			}
			<-ch.Done()
			mustIs(t, ch.Err(), ErrCommandInvalid)
			noErr(t, ch.Conn().Err())
		})
	}
}
