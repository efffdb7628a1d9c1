package core

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

func TestPublishSendsEverythingOfTheMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		msg := Publishing{
			Exchange: "e", RoutingKey: "k", Mandatory: true, Immediate: true, Body: []byte("body"),
			Properties: Properties{
				ContentType: "text/plain", ContentEncoding: "utf-8", Headers: wire.Table{"a": int32(1), "b": "x"},
				DeliveryMode: 2, Priority: 9, CorrelationID: "c", ReplyTo: "r", Expiration: "60000", MessageID: "m",
				Timestamp: time.Unix(1700000000, 0).UTC(), Type: "t", UserID: "u", AppID: "app",
			},
		}
		before := fmt.Sprintf("%+v", msg)
		noErr(t, ch.Publish(bg, &msg))
		c := p.content(1)
		if c.publish != (wire.BasicPublish{Exchange: "e", RoutingKey: "k", Mandatory: true, Immediate: true}) {
			t.Errorf("publish %+v", c.publish)
		}
		if string(c.body) != "body" || !reflect.DeepEqual(c.props, msg.Properties) {
			t.Errorf("properties %+v, body %q", c.props, c.body)
		}
		if after := fmt.Sprintf("%+v", msg); after != before {
			t.Errorf("the message was changed to %s", after)
		}
	})
}

// The caller may reuse body and headers at once.
func TestPublishKeepsNothingOfTheMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteBuffer: 1 << 20})
		for _, size := range []int{10, streamAbove + 10} {
			body := bytes.Repeat([]byte("a"), size)
			headers := wire.Table{"h": "before"}
			p.nc.In().SetBuffer(streamAbove) // the end of a large body is still queued when Publish returns
			p.nc.In().Stall()
			noErr(t, ch.Publish(bg, &Publishing{Properties: Properties{Headers: headers}, Body: body}))
			headers["h"] = "after"
			for i := range body {
				body[i] = 'b'
			}
			p.nc.In().Resume()
			c := p.content(1)
			if c.props.Headers["h"] != "before" || bytes.Contains(c.body, []byte("b")) {
				t.Errorf("size %d: the message on the wire is the caller's memory", size)
			}
		}
	})
}

func TestEmptyBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		noErr(t, ch.Publish(bg, &Publishing{Properties: Properties{Headers: wire.Table{"h": true}}}))
		if c := p.content(1); c.frames != 0 || c.props.Headers["h"] != true {
			t.Errorf("%d body frames, %+v", c.frames, c.props)
		}
		p.quiet()
	})
}

// Bodies around the limits of a frame, of a part and of the buffer arrive whole.
func TestBodySizes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openTuned(t, Config{FrameMax: 8192, WriteBuffer: 10_000}, &wire.ConnectionTune{FrameMax: 8192})
		ch := p.channel(c)
		const part = 8192 - 8
		for _, size := range []int{1, part - 1, part, part + 1, 2 * part, 2*part + 1, streamAbove, streamAbove + 1, 3*streamAbove + 7} {
			body := make([]byte, size)
			for i := range body {
				body[i] = byte(i * 7)
			}
			done := async0(func() error { return ch.Publish(bg, &Publishing{Body: body}) })
			got := p.content(1)
			done.get(t)
			if !bytes.Equal(got.body, body) {
				t.Errorf("size %d: another body arrived", size)
			}
			if size <= streamAbove && got.frames != (size+part-1)/part {
				t.Errorf("size %d: %d frames", size, got.frames)
			}
		}
	})
}

// Messages of many goroutines on one channel are never mixed.
func TestConcurrentPublishes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteBuffer: 100_000})
		const each = 20
		for g := range 16 {
			go func() {
				for i := range each {
					size := (g*each + i) * 997 % 300_000
					_ = ch.Publish(bg, &Publishing{RoutingKey: fmt.Sprint(g), Body: bytes.Repeat([]byte{byte(g)}, size)})
				}
			}()
		}
		next := map[string]int{}
		for range 16 * each {
			c := p.content(1)
			g := 0
			_, _ = fmt.Sscan(c.publish.RoutingKey, &g)
			if size := (g*each + next[c.publish.RoutingKey]) * 997 % 300_000; len(c.body) != size || bytes.Count(c.body, []byte{byte(g)}) != size {
				t.Fatalf("goroutine %d: a body of %d bytes, want %d in order", g, len(c.body), size)
			}
			next[c.publish.RoutingKey]++
		}
	})
}

// A call on the channel never lands inside a message, whatever it is.
func TestCallsNeverLandInsideAMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteBuffer: 64 << 10})
		consumer := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		p.deliver(1, "c", 1, "x")
		p.deliver(1, "c", 2, "x")
		d1, d2 := receive(t, consumer), receive(t, consumer)
		p.nc.In().SetBuffer(1000)
		publish := async0(func() error { return ch.Publish(bg, &Publishing{Body: make([]byte, 2<<20)}) })
		publish.waits(t)
		noErr(t, d1.Ack())
		noErr(t, d2.Nack(true))
		p.send(1, &wire.ChannelFlow{Active: true}, &wire.BasicCancel{ConsumerTag: "c", NoWait: true})
		rpc := async0(func() error { return ch.QueueBind(bg, QueueBind{}) })
		rpc.waits(t)
		if c := p.content(1); len(c.body) != 2<<20 { // which fails on any other frame
			t.Errorf("%d bytes", len(c.body))
		}
		publish.get(t)
		var got []string
		for range 5 {
			got = append(got, p.method(1).ID().String())
		}
		slices.Sort(got)
		if !slices.Equal(got, []string{"basic.ack", "basic.cancel", "basic.nack", "channel.flow-ok", "queue.bind"}) {
			t.Errorf("behind the message: %v", got)
		}
	})
}

// Frames of other channels, and heartbeats, come between the parts of a large message.
func TestLargeMessageLeavesRoomForOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteBuffer: 256 << 10, MaxPublish: 200 << 20})
		other := p.channel(ch.Conn())
		publish := async0(func() error { return ch.Publish(bg, &Publishing{Body: make([]byte, 24<<20)}) })
		publish.waits(t)
		small := async0(func() error { return other.Publish(bg, &Publishing{Body: []byte("small")}) })
		rpc := async0(func() error { return other.QueueBind(bg, QueueBind{}) })
		total, at := 0, -1
		for total < 24<<20 {
			f := p.frame()
			if f.Channel == other.ID() {
				if id, _ := wire.PeekMethod(f.Payload); f.Type == wire.FrameMethod && id == wire.MethodQueueBind {
					at = total
					p.send(other.ID(), &wire.QueueBindOk{})
				}
				continue
			}
			if f.Type == wire.FrameBody {
				total += len(f.Payload)
			}
		}
		publish.get(t)
		small.get(t)
		rpc.get(t)
		if at < 0 || at > 3<<20 {
			t.Errorf("the other channel's call went out behind %d bytes of the large message", at)
		}
	})
}

// A message that has begun is finished, also when its context ends.
func TestContextEndsWithinALargeMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteBuffer: 64 << 10})
		p.nc.In().SetBuffer(1000)
		ctx, cancel := context.WithCancel(bg)
		body := bytes.Repeat([]byte("0123456789"), 300_000)
		publish := async0(func() error { return ch.Publish(ctx, &Publishing{Body: body}) })
		publish.waits(t)
		cancel()
		synctest.Wait()
		if c := p.content(1); !bytes.Equal(c.body, body) {
			t.Errorf("%d bytes arrived", len(c.body))
		}
		publish.get(t)
	})
}

// A server that closes the channel within a message gets no more of it.
func TestServerClosesTheChannelWithinALargeMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteBuffer: 300_000})
		p.nc.In().SetBuffer(1000)
		publish := async0(func() error { return ch.Publish(bg, &Publishing{Body: make([]byte, 10<<20)}) })
		publish.waits(t)
		p.send(1, &wire.ChannelClose{ReplyCode: 406, ReplyText: "too large"})
		mustIs(t, publish.fail(t), ErrPreconditionFailed)
		received := 0
		for {
			f := p.frame()
			if f.Type == wire.FrameMethod && received > 0 {
				if id, _ := wire.PeekMethod(f.Payload); id != wire.MethodChannelCloseOk {
					t.Errorf("%s", id)
				}
				break
			}
			received += len(f.Payload)
		}
		if received > 2<<20 {
			t.Errorf("%d bytes were still sent", received)
		}
		next := p.channel(ch.Conn())
		noErr(t, next.Publish(bg, &Publishing{}))
		p.content(next.ID())
	})
}

// A channel given up within a message finishes it, then is closed.
func TestChannelIsGivenUpWithinALargeMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteBuffer: 300_000, RPCTimeout: time.Second, WriteTimeout: time.Hour, Heartbeat: -1})
		rpc := async0(func() error { return ch.QueueBind(bg, QueueBind{}) })
		want[*wire.QueueBind](p, 1)
		p.nc.In().SetBuffer(1000)
		publish := async0(func() error { return ch.Publish(bg, &Publishing{Body: make([]byte, 3<<20)}) })
		publish.waits(t)
		mustIs(t, rpc.fail(t), ErrTimeout)
		if c := p.content(1); len(c.body) != 3<<20 {
			t.Errorf("%d bytes", len(c.body))
		}
		want[*wire.ChannelClose](p, 1)
		publish.get(t) // the broker has it: who was told otherwise would send it again
		noErr(t, ch.Conn().Err())
	})
}

// A large message that stands still, because the broker blocks, holds no call
// of its channel up for longer than the limit of an answer. While it moves, they wait.
func TestCallsDoNotWaitForAMessageThatStandsStill(t *testing.T) {
	for name, call := range map[string]func(ch *Channel) error{
		"close":   func(ch *Channel) error { return ch.Close(bg) },
		"rpc":     func(ch *Channel) error { return ch.QueueBind(bg, QueueBind{}) },
		"confirm": func(ch *Channel) error { return ch.Confirm(bg, ConfirmSelect{}) },
		"no-wait": func(ch *Channel) error {
			_, err := ch.Consume(bg, BasicConsume{ConsumerTag: "c", NoWait: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{WriteBuffer: 300_000, RPCTimeout: 10 * time.Second, WriteTimeout: time.Hour, Heartbeat: -1})
				p.nc.In().SetBuffer(1000)
				publish := async0(func() error { return ch.Publish(bg, &Publishing{Body: make([]byte, 2<<20)}) })
				publish.waits(t)
				begin := time.Now()
				done := async0(func() error { return call(ch) })
				time.Sleep(8 * time.Second)
				buf := make([]byte, 500_000)
				for n := 0; n < len(buf); { // it moves
					m, err := p.nc.Read(buf[n:])
					noErr(t, err)
					n += m
				}
				p.buf = append(p.buf, buf...)
				done.waits(t)
				p.send(0, &wire.ConnectionBlocked{Reason: "low on memory"})
				mustIs(t, done.fail(t), ErrTimeout)
				if d := time.Since(begin); d != 18*time.Second {
					t.Errorf("after %s", d)
				}
				noErr(t, ch.Conn().Err())
				p.send(0, &wire.ConnectionUnblocked{})
				p.nc.In().SetBuffer(1 << 20)
				if c := p.content(1); len(c.body) != 2<<20 {
					t.Errorf("%d bytes", len(c.body))
				}
				publish.get(t) // it is whole, whatever became of the channel
				if name == "close" {
					want[*wire.ChannelClose](p, 1)
					mustIs(t, ch.Err(), ErrClosed)
					return
				}
				noErr(t, ch.Err())
				p.quiet()
			})
		})
	}
}

func TestWriteBufferIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteBuffer: 10_000})
		p.nc.In().SetBuffer(0)
		sent := 0
		done := async0(func() error {
			for ; ; sent++ {
				ctx, cancel := context.WithTimeout(bg, time.Second)
				err := ch.Publish(ctx, &Publishing{Body: make([]byte, 1000)})
				cancel()
				if err != nil {
					return err
				}
			}
		})
		mustIs(t, done.fail(t), context.DeadlineExceeded)
		if sent < 9 || sent > 22 {
			t.Errorf("%d messages of 1000 bytes were taken", sent)
		}
		p.nc.In().SetBuffer(1 << 20)
		for range sent {
			p.content(1)
		}
		p.quiet() // the message that ran into its context was not sent
	})
}

func TestPublishWithAnEndedContextSendsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		ctx, cancel := context.WithCancelCause(bg)
		cause := fmt.Errorf("over")
		cancel(cause)
		mustIs(t, ch.Publish(ctx, &Publishing{}), cause)
		p.quiet()
	})
}

func TestFlowPausesPublishes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		other := p.channel(ch.Conn())
		p.send(1, &wire.ChannelFlow{Active: false})
		if ok := want[*wire.ChannelFlowOk](p, 1); ok.Active {
			t.Errorf("%+v", ok)
		}
		publish := async0(func() error { return ch.Publish(bg, &Publishing{}) })
		publish.waits(t)
		if !ch.Paused() || other.Paused() {
			t.Errorf("paused: %v, the other %v", ch.Paused(), other.Paused())
		}
		noErr(t, other.Publish(bg, &Publishing{}))
		p.content(other.ID())
		p.send(1, &wire.ChannelFlow{Active: true})
		if ok := want[*wire.ChannelFlowOk](p, 1); !ok.Active {
			t.Errorf("%+v", ok)
		}
		publish.get(t)
		p.content(1)
	})
}

// Acks and calls of other channels, and heartbeats, overtake queued publishes,
// between two messages; what a channel itself has sent stays in order.
func TestOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		other := p.channel(ch.Conn())
		mine := p.consume(ch, BasicConsume{ConsumerTag: "mine"})
		third := p.channel(ch.Conn())
		theirs := p.consume(third, BasicConsume{ConsumerTag: "theirs"})
		p.deliver(1, "mine", 1, "x")
		p.deliver(third.ID(), "theirs", 1, "x")
		d, e := receive(t, mine), receive(t, theirs)
		p.nc.In().SetBuffer(0)
		noErr(t, ch.Publish(bg, &Publishing{RoutingKey: "first", Body: []byte("body")}))
		synctest.Wait() // the writer is busy with it
		for i := range 5 {
			noErr(t, ch.Publish(bg, &Publishing{RoutingKey: fmt.Sprint(i), Body: []byte("body")}))
		}
		noErr(t, d.Ack())
		noErr(t, e.Ack())
		noErr(t, ch.Conn().SendHeartbeat())
		noErr(t, ch.QueueBind(bg, QueueBind{Queue: "mine", NoWait: true}))
		noErr(t, other.QueueBind(bg, QueueBind{Queue: "theirs", NoWait: true}))
		p.nc.In().SetBuffer(1 << 20)
		p.content(1)
		if m := want[*wire.QueueBind](p, other.ID()); m.Queue != "theirs" {
			t.Errorf("%+v", m)
		}
		want[*wire.BasicAck](p, third.ID())
		if f := p.anyFrame(); f.Type != wire.FrameHeartbeat {
			t.Errorf("frame of type %d, want a heartbeat", f.Type)
		}
		for i := range 5 {
			if c := p.content(1); c.publish.RoutingKey != fmt.Sprint(i) {
				t.Errorf("%+v, want %d", c.publish, i)
			}
		}
		want[*wire.BasicAck](p, 1)
		want[*wire.QueueBind](p, 1)
	})
}
