package core

import (
	"encoding/binary"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// The hot paths run here on one goroutine, without socket: what is counted
// is what a message costs this package.

// unplugged returns a channel of a connection whose goroutines do not run.
func unplugged(t *testing.T) *Channel {
	t.Helper()
	cfg, err := Config{}.withDefaults()
	noErr(t, err)
	h := &handshake{cfg: cfg, frames: newFrames(nil, DefaultFrameMax), tuned: Tuned{ChannelMax: 10, FrameMax: DefaultFrameMax}}
	ch, err := newConn(nil, h).newChannel()
	noErr(t, err)
	return ch
}

// mustAllocate fails unless f allocates at most limit times, on average.
func mustAllocate(t *testing.T, limit float64, f func()) {
	t.Helper()
	for range 2000 { // until the buffers have grown
		f()
	}
	if got := testing.AllocsPerRun(2000, f); got > limit {
		t.Errorf("%.2f allocations, want at most %.2f", got, limit)
	}
}

// written takes what was queued, as the writer does.
func (ch *Channel) written(control, data []byte) (_, _ []byte) {
	control, data, _, _ = ch.conn.out.take(control, data)
	return control, data
}

func TestPublishDoesNotAllocate(t *testing.T) {
	messages := map[string]*Publishing{
		"small": {Exchange: "orders", RoutingKey: "eu.created", Body: make([]byte, 16)},
		"typical": {Exchange: "orders", RoutingKey: "eu.created", Body: make([]byte, 1024),
			Properties: Properties{ContentType: "application/json", DeliveryMode: 2, MessageID: "0191-42", AppID: "shop"}},
		"large": {RoutingKey: "q", Body: make([]byte, 64<<10)},
	}
	for name, m := range messages {
		t.Run(name, func(t *testing.T) {
			ch := unplugged(t)
			var control, data []byte
			mustAllocate(t, 0, func() {
				if err := ch.Publish(bg, m); err != nil {
					t.Fatal(err)
				}
				control, data = ch.written(control, data)
			})
		})
	}
}

// counter is a settler that allocates nothing.
type counter struct{ n int }

func (c *counter) Settle(Verdict) { c.n++ }

func TestConfirmsDoNotAllocate(t *testing.T) {
	ch := unplugged(t)
	ch.mode, ch.confirms = modeConfirm, newConfirms()
	m := &Publishing{Exchange: "orders", RoutingKey: "eu.created", Mandatory: true, Body: make([]byte, 16)}
	var control, data, ack []byte
	var tag uint64
	settled := &counter{}
	mustAllocate(t, 0, func() {
		for range 10 {
			tag++
			binary.BigEndian.PutUint64(m.Body, tag)
			if err := ch.PublishTo(bg, m, settled); err != nil {
				t.Fatal(err)
			}
		}
		control, data = ch.written(control, data)
		ack = wire.AppendAck(ack[:0], ch.id, tag, true)
		dispatch(t, ch.conn, ack)
	})
	if settled.n != int(tag) {
		t.Errorf("%d of %d publishes settled", settled.n, tag)
	}
}

// dispatch gives the frames in b to the connection, as its reader does.
func dispatch(t *testing.T, c *Conn, b []byte) {
	for len(b) > 0 {
		f, n, err := wire.ParseFrame(b, 0)
		if err == nil {
			err = c.dispatch(f)
		}
		if err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
}

// A delivery of few bytes is one piece of memory; else the body is another.
func TestDeliveryAllocations(t *testing.T) {
	headers := wire.Properties{ContentType: "text/plain", Headers: wire.Table{"a": int32(1), "b": "x", "c": true}, MessageID: "0191-42"}
	tests := []struct {
		name  string
		props wire.Properties
		size  int
		noAck bool
		free  bool // the delivery is released
		limit float64
	}{
		{"16 B", wire.Properties{}, 16, false, false, 1},
		{"16 B, automatic ack", wire.Properties{}, 16, true, false, 1},
		{"1 KiB", wire.Properties{DeliveryMode: 2}, 1 << 10, false, false, 2},
		{"1 KiB with headers", headers, 1 << 10, false, false, 2},
		{"64 KiB", wire.Properties{}, 64 << 10, false, false, 2},
		{"16 B, released", wire.Properties{}, 16, false, true, 0},
		{"64 KiB with headers, released", headers, 64 << 10, true, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ch := unplugged(t)
			c := &Consumer{tag: "c", noAck: tt.noAck, ch: ch, inbox: newInbox(0, 0), done: make(chan struct{})}
			ch.consumers["c"] = c
			deliver := contentFrames(t, ch.id, &wire.BasicDeliver{
				ConsumerTag: "c", Exchange: "orders", RoutingKey: "eu.created",
			}, tt.props, make([]byte, tt.size))
			const tagAt = 7 + 4 + 2
			var tag uint64
			var control, data []byte
			mustAllocate(t, tt.limit, func() {
				tag++
				for i := range 8 {
					deliver[tagAt+i] = byte(tag >> (56 - 8*i))
				}
				dispatch(t, ch.conn, deliver)
				if err := ch.conn.in.handOver(); err != nil {
					t.Fatal(err)
				}
				d, err := c.Receive(bg)
				if err != nil || d.Tag != tag || len(d.Body) != tt.size {
					t.Fatalf("received %+v, %v", d, err)
				}
				if !tt.noAck {
					if err := d.Ack(); err != nil {
						t.Fatal(err)
					}
					control, data = ch.written(control, data)
				}
				if tt.free {
					d.Release()
				}
			})
		})
	}
}
