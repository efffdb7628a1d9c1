package core

import (
	"bytes"
	"sync"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// Released memory comes back with another message in it, whole and unsettled,
// also when that one is larger or smaller than the last.
func TestReleasedDeliveriesAreUsedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{Queue: "q"})
		seen := map[*Delivery]bool{}
		sizes := []int{10, 10, 3000, 20, 50_000, 0, 200_000, 7, 100}
		for i, size := range sizes {
			body, props := randomBody(uint64(i), size), wire.Properties{MessageID: string(rune('a' + i))}
			go p.raw(contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: c.Tag(), DeliveryTag: uint64(i + 1), RoutingKey: "k"}, props, body))
			d, err := c.Receive(bg)
			noErr(t, err)
			if !bytes.Equal(d.Body, body) || d.MessageID() != props.MessageID || d.RoutingKey != "k" || d.Tag != uint64(i+1) {
				t.Fatalf("message %d arrived as %+v", i, d)
			}
			if i > 0 && !seen[d] {
				t.Errorf("message %d did not use released memory", i)
			}
			seen[d] = true
			noErr(t, d.Ack())
			d.Release()
			if d.Ack() == nil {
				t.Error("a released delivery can be acked")
			}
			d.Release() // by mistake: nothing happens
		}
	})
}

// With several receivers that release, no message is seen in another's memory.
func TestReleaseByManyReceivers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{Queue: "q", NoAck: true})
		const n = 3000
		var received sync.WaitGroup
		received.Add(n)
		for range 4 {
			go func() {
				for d, err := range c.All(bg) {
					if err != nil {
						return
					}
					size := int(d.Tag*37) % 700
					if len(d.Body) != size || bytes.Count(d.Body, []byte{byte(d.Tag)}) != size {
						t.Errorf("tag %d: wrong body", d.Tag)
					}
					d.Release()
					received.Done()
				}
			}()
		}
		for tag := uint64(1); tag <= n; tag++ {
			p.deliver(1, c.Tag(), tag, string(bytes.Repeat([]byte{byte(tag)}, int(tag*37)%700)))
		}
		received.Wait()
	})
}

// What is kept for reuse is bounded in number and in bytes.
func TestRecycledMemoryIsBounded(t *testing.T) {
	var r recycler
	for range maxRecycled + 10 {
		r.put(&Delivery{})
	}
	if len(r.free) != maxRecycled {
		t.Errorf("%d deliveries kept, want %d", len(r.free), maxRecycled)
	}
	r = recycler{}
	for range 100 {
		r.put(&Delivery{props: make([]byte, 0, 100_000)})
		r.put(&Delivery{props: make([]byte, 0, maxRecycledBody+1)})
	}
	if r.bytes > maxRecycledBytes || len(r.free) != maxRecycledBytes/100_000 {
		t.Errorf("%d deliveries and %d bytes kept", len(r.free), r.bytes)
	}
}
