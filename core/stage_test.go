package core

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// deliveries encodes messages to one consumer with tags from first on.
func deliveries(t *testing.T, consumer string, first uint64, n int) (b []byte) {
	t.Helper()
	for i := range uint64(n) {
		b = append(b, contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: consumer, DeliveryTag: first + i}, wire.Properties{}, []byte("m"))...)
	}
	return b
}

// A lone delivery is there as soon as its bytes are.
func TestLoneDeliveryIsNotDelayed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{Queue: "q"})
		before := time.Now()
		p.deliver(1, c.Tag(), 1, "m")
		if _, err := c.Receive(bg); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(before); took != 0 {
			t.Errorf("received after %s", took)
		}
	})
}

// Also when the next message has begun to arrive.
func TestDeliveryDoesNotWaitForTheNextOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{Queue: "q"})
		two := deliveries(t, c.Tag(), 1, 2)
		p.raw(two[:len(two)/2+10])
		if d := receive(t, c); d.Tag != 1 {
			t.Errorf("tag %d, want 1", d.Tag)
		}
	})
}

// What came before the answer to a cancel, in the same read, can still be
// received and acked.
func TestDeliveriesBeforeCancelOkAreReceived(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{Queue: "q"})
		cancel := async0(func() error { return c.Cancel(bg) })
		want[*wire.BasicCancel](p, 1)
		p.raw(append(deliveries(t, c.Tag(), 1, 3), encoded(t, 1, &wire.BasicCancelOk{ConsumerTag: c.Tag()})...))
		cancel.get(t)
		for tag := uint64(1); tag <= 3; tag++ {
			d := receive(t, c)
			if d.Tag != tag {
				t.Fatalf("tag %d, want %d", d.Tag, tag)
			}
			noErr(t, d.Ack())
		}
		_, err := c.Receive(bg)
		mustIs(t, err, ErrClosed)
	})
}

// More than is handed over at once, to several consumers, in one read.
func TestManyDeliveriesInOneRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		a, b := p.consume(ch, BasicConsume{Queue: "q", ConsumerTag: "a"}), p.consume(ch, BasicConsume{Queue: "q", ConsumerTag: "b"})
		const n = 5*maxStaged + 7
		var all []byte
		for tag := uint64(1); tag <= 2*n; tag += 2 {
			all = append(all, deliveries(t, "a", tag, 1)...)
			all = append(all, deliveries(t, "b", tag+1, 1)...)
		}
		p.raw(all)
		for tag := uint64(1); tag <= 2*n; tag += 2 {
			if d := receive(t, a); d.Tag != tag {
				t.Fatalf("a: tag %d, want %d", d.Tag, tag)
			}
			if d := receive(t, b); d.Tag != tag+1 {
				t.Fatalf("b: tag %d, want %d", d.Tag, tag+1)
			}
		}
	})
}

// A bound met in the middle of what is handed over cancels the consumer; what
// is beyond it, up to the harder bound, can be received.
func TestBoundMetInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{Queue: "q", NoAck: true}, MaxBuffered(10, 0))
		p.raw(deliveries(t, c.Tag(), 1, 15))
		want[*wire.BasicCancel](p, 1)
		p.send(1, &wire.BasicCancelOk{ConsumerTag: c.Tag()})
		synctest.Wait()
		for tag := uint64(1); tag <= 15; tag++ {
			if d := receive(t, c); d.Tag != tag {
				t.Fatalf("tag %d, want %d", d.Tag, tag)
			}
		}
		_, err := c.Receive(bg)
		mustIs(t, err, ErrOverflow)
		noErr(t, ch.Err())
	})
}

// At four times the bound the channel goes.
func TestHardBoundMetInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{Queue: "q", NoAck: true}, MaxBuffered(10, 0))
		p.raw(deliveries(t, c.Tag(), 1, 60))
		want[*wire.BasicCancel](p, 1)
		want[*wire.ChannelClose](p, 1)
		<-ch.Done()
		mustIs(t, ch.Err(), ErrOverflow)
	})
}

// What came whole before the end counts: with automatic ack nobody would bring
// it again. It is received before the cause.
func TestDeliveriesBeforeTheEndAreReceived(t *testing.T) {
	deliver := func(t *testing.T, n int) (b []byte) {
		for tag := range uint64(n) {
			b = append(b, contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: tag + 1}, wire.Properties{}, []byte("x"))...)
		}
		return b
	}
	for name, behind := range map[string][]byte{
		"fault of the connection": wire.AppendAck(nil, 77, 1, false),
		"bytes that are no frame": []byte("HTTP/1.1"),
		"delivery tag again":      deliver(t, 1),
		"body too large":          deliverWith(t, 1<<40, []byte{0, 0}),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				c := p.consume(ch, BasicConsume{ConsumerTag: "c", NoAck: true})
				got := async(func() (n int, err error) {
					for _, err := range c.All(bg) {
						if err != nil {
							return n, err
						}
						n++
					}
					return n, nil
				})
				synctest.Wait()
				p.raw(append(deliver(t, 5), behind...))
				<-got.done
				mustAs[*Error](t, got.err)
				if got.v != 5 {
					t.Errorf("%d received of 5", got.v)
				}
			})
		})
	}
}

// The same when the channel is given up between the read and the hand-over.
func TestChannelIsGivenUpBeforeTheHandOver(t *testing.T) {
	for _, noAck := range []bool{true, false} {
		ch := unplugged(t)
		c := &Consumer{tag: "c", noAck: noAck, ch: ch, inbox: newInbox(0, 0), done: make(chan struct{})}
		ch.consumers["c"] = c
		dispatch(t, ch.conn, contentFrames(t, ch.id, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1}, wire.Properties{}, nil))
		ch.condemn(ErrTimeout)
		noErr(t, ch.conn.in.handOver())
		if noAck {
			if d, err := c.TryReceive(); d == nil || err != nil {
				t.Errorf("no delivery: %v", err)
			}
		}
		_, err := c.TryReceive()
		mustIs(t, err, ErrTimeout)
	}
}
