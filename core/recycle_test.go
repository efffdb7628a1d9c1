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

// Also while consumers are cancelled, overflow, and lose their channels, whose memory the next ones use. Run it with
// the race detector: whoever reads a delivery that is no longer its own is found.
func TestReleaseWhileConsumersEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{})
		const n = 200
		for round := range 24 {
			ch := p.channel(c)
			co := p.consume(ch, BasicConsume{Queue: "q"}, MaxBuffered(n-20*(round%3), 0))
			var receivers sync.WaitGroup
			for range 3 {
				receivers.Go(func() {
					for d, err := range co.All(bg) {
						if err != nil {
							return
						}
						size := int(d.Tag*37) % 700
						if len(d.Body) != size || bytes.Count(d.Body, []byte{byte(d.Tag)}) != size {
							t.Errorf("tag %d: wrong body", d.Tag)
						}
						_, _ = d.Ack(), d.Age() // stale where the channel has gone
						d.Release()
					}
				})
			}
			var all []byte
			for tag := uint64(1); tag <= n; tag++ {
				all = append(all, contentFrames(t, ch.ID(), &wire.BasicDeliver{ConsumerTag: co.Tag(), DeliveryTag: tag}, wire.Properties{}, bytes.Repeat([]byte{byte(tag)}, int(tag*37)%700))...)
			}
			switch cut := len(all) / (round%4 + 1); round % 2 {
			case 0: // in the middle of a message
				p.raw(all[:cut])
				ch.condemn(ErrTimeout)
				p.raw(all[cut:])
			case 1:
				p.raw(append(all, encoded(t, ch.ID(), &wire.ChannelClose{ReplyCode: 406})...))
			}
			receivers.Wait()
			<-ch.Done()
			p.closed(ch)
		}
	})
}

// closed takes what the client still sends on ch, up to the end of the channel, which it answers.
func (p *peer) closed(ch *Channel) {
	p.t.Helper()
	for {
		switch p.method(ch.ID()).(type) {
		case *wire.ChannelClose:
			p.send(ch.ID(), &wire.ChannelCloseOk{})
			return
		case *wire.ChannelCloseOk:
			return
		}
	}
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
