package core

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// randomBody returns n bytes that differ from those of another seed.
func randomBody(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Large bodies, for which the read buffer grows, arrive as they were sent with
// what is in between, however the network cuts them.
func TestLargeBodiesArriveWhole(t *testing.T) {
	sizes := []int{16_000, 16_384, 60_000, 0, 131064, 131065, 300_000, 5, 65536, 64 << 10}
	for _, slice := range []int{0, 1000, 4096, 65536} {
		t.Run(fmt.Sprintf("slices of %d", slice), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				c := p.consume(ch, BasicConsume{Queue: "q"})
				p.nc.Out().Slice(slice)
				sent := async0(func() error {
					var all []byte
					for i, size := range sizes {
						all = append(all, contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: c.Tag(), DeliveryTag: uint64(i + 1)},
							wire.Properties{MessageID: fmt.Sprint("m", i)}, randomBody(uint64(i), size))...)
						all = wire.AppendHeartbeat(all)
					}
					p.raw(all)
					return nil
				})
				for i, size := range sizes {
					d, err := c.Receive(bg)
					noErr(t, err)
					if d.Tag != uint64(i+1) || d.MessageID() != fmt.Sprint("m", i) || !bytes.Equal(d.Body, randomBody(uint64(i), size)) {
						t.Fatalf("message %d of %d bytes arrived as tag %d, id %q, %d bytes", i, size, d.Tag, d.MessageID(), len(d.Body))
					}
				}
				sent.get(t)
			})
		})
	}
}

// Faults inside a large body frame end the connection as in any other frame.
func TestFaultsInLargeBodies(t *testing.T) {
	deliver := &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1}
	tests := []struct {
		name string
		harm func(message []byte) []byte
		want Code
	}{
		{"the end is missing", func(m []byte) []byte { m[len(m)-1] = 0; return m }, ErrFrame},
		{"longer than announced", func(m []byte) []byte { return wire.AppendBody(m, 1, make([]byte, 50_000), 131072) }, ErrUnexpectedFrame},
		{"larger than the frame limit", func(m []byte) []byte {
			return append(m[:len(m)-1-100_000-7], wire.AppendBody(nil, 1, make([]byte, 200_000), 0)...)
		}, ErrFrame},
		{"on a channel that is not open", func(m []byte) []byte { return wire.AppendBody(m, 7, make([]byte, 50_000), 131072) }, ErrChannel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				p.consume(ch, BasicConsume{Queue: "q", ConsumerTag: "c"})
				message := contentFrames(t, 1, deliver, wire.Properties{}, make([]byte, 100_000))
				p.raw(tt.harm(message))
				if m := want[*wire.ConnectionClose](p, 0); Code(m.ReplyCode) != tt.want {
					t.Errorf("closed with %d %q, want %d", m.ReplyCode, m.ReplyText, tt.want)
				}
			})
		})
	}
}

// A connection that ends inside a large body is lost like any other.
func TestEndInsideALargeBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{Queue: "q", ConsumerTag: "c"})
		message := contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1}, wire.Properties{}, make([]byte, 100_000))
		p.raw(message[:70_000])
		synctest.Wait()
		_ = p.nc.Close()
		if d, err := c.Receive(bg); d != nil || err == nil {
			t.Errorf("received %v, %v from a connection that ended inside the message", d, err)
		}
	})
}

// A frame that trickles in holds its memory and nothing else for a bounded time.
func TestStallInsideALargeBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.consume(ch, BasicConsume{Queue: "q", ConsumerTag: "c"})
		message := contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1}, wire.Properties{}, make([]byte, 100_000))
		p.raw(message[:50_000])
		for i := 50_000; ch.Err() == nil; i++ { // a byte each time before silence would be noticed
			p.raw(message[i : i+1])
			time.Sleep(time.Second)
		}
		<-ch.Done()
		mustIs(t, ch.Err(), ErrTimeout)
	})
}

// repeater is a network that always has as much as is asked for: one frame
// after the other.
type repeater struct {
	net.Conn
	frame []byte
	at    int
	reads int
}

func (r *repeater) Read(b []byte) (int, error) {
	r.reads++
	for n := 0; n < len(b); {
		m := copy(b[n:], r.frame[r.at:])
		n += m
		r.at = (r.at + m) % len(r.frame)
	}
	return len(b), nil
}

// Of large frames one read brings several, and any frame that is allowed fits.
func TestReadBufferGrowsWithTheFrames(t *testing.T) {
	tests := []struct {
		payload, limit   int
		perRead, largest int
	}{
		{100, DefaultFrameMax, 1000, readBuffer},
		{60_000, DefaultFrameMax, 6, largeReadBuffer},
		{130_000, DefaultFrameMax, 3, largeReadBuffer},
		{DefaultFrameMax - wire.FrameOverhead, DefaultFrameMax, 1, readBuffer}, // fills it
		{2 << 20, 4 << 20, 1, 2<<20 + wire.FrameOverhead},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d bytes", tt.payload), func(t *testing.T) {
			r := &repeater{frame: wire.AppendBody(nil, 1, make([]byte, tt.payload), 0)}
			f := newFrames(r, uint32(tt.limit))
			n := 100 * tt.perRead
			for range n {
				frame, err := f.next()
				noErr(t, err)
				if len(frame.Payload) != tt.payload {
					t.Fatalf("payload of %d bytes, want %d", len(frame.Payload), tt.payload)
				}
			}
			if r.reads > 105 {
				t.Errorf("%d reads for %d frames, want about %d", r.reads, n, n/tt.perRead)
			}
			if len(f.buf) > tt.largest {
				t.Errorf("the buffer has grown to %d bytes, want at most %d", len(f.buf), tt.largest)
			}
		})
	}
}

// Body frames without a byte are odd but allowed, so many in each message, whatever came before on the channel.
func TestEmptyBodyFramesAreCountedForEachMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		message := func(tag uint64, empty int) []byte {
			b := encoded(t, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: tag})
			b, err := wire.AppendHeader(b, 1, wire.ClassBasic, 1, &wire.Properties{})
			noErr(t, err)
			for range empty {
				b = append(b, rawFrame(wire.FrameBody, 1, nil)...)
			}
			return wire.AppendBody(b, 1, []byte("x"), 0)
		}
		for tag := range uint64(3) {
			p.raw(message(tag+1, maxEmptyFrames))
			if d := receive(t, c); string(d.Body) != "x" {
				t.Errorf("body %q", d.Body)
			}
		}
		p.raw(message(4, maxEmptyFrames+1))
		if m := want[*wire.ConnectionClose](p, 0); Code(m.ReplyCode) != ErrFrame {
			t.Errorf("%+v", m)
		}
	})
}
