package warren

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
)

// What a consumer received can be published on as it is, by a publisher as on a channel.
func TestWhatWasReceivedCanBePublishedOn(t *testing.T) {
	b := brokertest.New(t)
	ctx := t.Context()
	c, err := Dial(ctx, b.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	if _, err := c.Declare(ctx, Topology{Queues: []Queue{{Name: "from"}, {Name: "to"}}}); err != nil {
		t.Fatal(err)
	}
	ch, err := c.Channel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := c.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]func(core.Properties, []byte) error{
		"publisher": func(p core.Properties, body []byte) error {
			return pub.Publish(ctx, Message{RoutingKey: "to", Properties: p, Body: body})
		},
		"channel": func(p core.Properties, body []byte) error {
			return ch.Publish(ctx, &core.Publishing{RoutingKey: "to", Properties: p, Body: body})
		},
	}
	get := func(queue string) *core.Delivery {
		for ctx.Err() == nil { // a publish on a channel is not waited for
			if d, err := ch.Get(ctx, core.BasicGet{Queue: queue, NoAck: true}); d != nil || err != nil {
				return d
			}
		}
		return nil
	}
	for _, sec := range []int64{-86400, 1_700_000_000_000, -1 << 63, 0, time.Time{}.Unix()} {
		raw := []byte{0xf8, 0xc0} // content type to priority, message id, timestamp; both strings are empty, the priority is 0
		raw = append(raw, 0, 0)
		headers, err := wire.AppendTable(nil, core.Table{"t": time.Unix(sec, 1).UTC(), "n": int16(-1)})
		if err != nil {
			t.Fatal(err)
		}
		raw = append(append(raw, headers...), 2, 0, 1, 'm')
		for shift := 56; shift >= 0; shift -= 8 {
			raw = append(raw, byte(uint64(sec)>>shift))
		}
		received, err := wire.DecodeProperties(raw)
		if err != nil {
			t.Fatal(err)
		}
		for how, publish := range ways {
			t.Run(fmt.Sprintf("%s, %d", how, sec), func(t *testing.T) {
				if _, err := b.Publish("", "from", received, []byte("m")); err != nil {
					t.Fatal(err)
				}
				d := get("from")
				if err := publish(d.Properties(), d.Body); err != nil {
					t.Fatal(err)
				}
				p := get("to").Properties()
				frame, err := wire.AppendHeader(nil, 1, wire.ClassBasic, 0, &p)
				if err != nil {
					t.Fatal(err)
				}
				const fixed = 7 + 12 // of the frame, and of the content header
				if got := frame[fixed : len(frame)-1]; !slices.Equal(got, raw) {
					t.Errorf("received %x, published on as %x", raw, got)
				}
			})
		}
	}
}
