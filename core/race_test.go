package core

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core/wire"
)

// Acks and nacks of many goroutines, in any order: the server ends up with
// exactly what was called.
func TestAcksFromManyGoroutines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 4000
		ch, p := openChannel(t, Config{})
		p.qos(ch, n)
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		b := &broker{map[uint64]bool{}, map[uint64]string{}}
		for tag := range uint64(n) {
			b.open[tag+1] = true
			p.deliver(1, "c", tag+1, "x")
		}
		read := async0(func() error {
			for len(b.open) > 0 {
				f, err := p.readFrame(hour)
				if err != nil {
					return err
				}
				if f.Type == wire.FrameHeartbeat {
					continue
				}
				if err := b.read(rawFrame(f.Type, f.Channel, f.Payload)); err != nil {
					return err
				}
			}
			return nil
		})
		for range 8 {
			go runSettler(c)
		}
		read.get(t)
		for tag := range uint64(n) {
			want := "ack"
			if (tag+1)%7 == 0 {
				want = "nack true"
			}
			if b.got[tag+1] != want {
				t.Fatalf("tag %d: %q, want %q", tag+1, b.got[tag+1], want)
			}
		}
	})
}

const hour = 3_600_000_000_000

// runSettler settles deliveries a few at a time, the latest first, and what it
// holds when nothing more waits.
func runSettler(c *Consumer) {
	var held []*Delivery
	for {
		d, err := c.TryReceive()
		if d == nil && err == nil && len(held) == 0 {
			d, err = c.Receive(bg)
		}
		if err != nil {
			return
		}
		if d != nil {
			if held = append(held, d); len(held) < 5 && d.Tag <= 3000 {
				continue
			}
		}
		slices.Reverse(held)
		for _, d := range held {
			if d.Tag%7 == 0 {
				_ = d.Nack(true)
			} else {
				_ = d.Ack()
			}
		}
		held = nil
	}
}

// Publishers, callers and the server's close meet at every moment: nobody
// hangs, and every publish has one verdict.
func TestServerClosesWhileEverythingIsInUse(t *testing.T) {
	for _, scope := range []Scope{ScopeChannel, ScopeConnection} {
		for after := range 30 {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				p.confirm(ch)
				p.consume(ch, BasicConsume{ConsumerTag: "c"})
				count := &verdictCount{seen: map[int]int{}}
				taken := make([]int, 4)
				var all []*result[struct{}]
				for g := range 4 {
					all = append(all, async0(func() error {
						for i := range 50 {
							if err := ch.PublishTo(bg, &Publishing{Mandatory: true, Body: make([]byte, 100*i)}, countOne{count, g*50 + i}); err != nil {
								return err
							}
							taken[g]++
						}
						return nil
					}), async0(func() error { return ch.QueueBind(bg, QueueBind{}) }))
				}
				p.deliver(1, "c", 1, "x")
				p.sendContent(1, &wire.BasicReturn{ReplyCode: 312}, Properties{}, nil)
				for range after {
					p.frame()
				}
				if scope == ScopeChannel {
					p.send(1, &wire.ChannelClose{ReplyCode: 404})
				} else {
					p.send(0, &wire.ConnectionClose{ReplyCode: 320})
				}
				go func() { _ = readAll(p) }()
				<-ch.Done()
				for _, r := range all {
					<-r.done
				}
				synctest.Wait()
				count.mu.Lock()
				defer count.mu.Unlock()
				sum := 0
				for g := range taken {
					sum += taken[g]
				}
				if len(count.seen) != sum {
					t.Errorf("%d publishes, %d with a verdict", sum, len(count.seen))
				}
			})
		}
	}
}

// A hundred channels that the server closes one after the other, while they
// publish, leave the connection alone.
func TestManyChannelErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{})
		go runRefuser(p)
		var all []*result[struct{}]
		for range 100 {
			all = append(all, async0(func() error {
				ch, err := c.Channel(bg)
				if err != nil {
					return err
				}
				for {
					if err := ch.Publish(bg, &Publishing{Exchange: "missing", Body: []byte("x")}); err != nil {
						break
					}
					if ch.Err() != nil {
						break
					}
					synctestYield()
				}
				<-ch.Done()
				e := ch.Err()
				if err := ch.Close(bg); err != nil {
					return err
				}
				if fmt.Sprint(e) != fmt.Sprint(ch.Err()) {
					return fmt.Errorf("the cause changed from %v to %v", e, ch.Err())
				}
				return nil
			}))
		}
		for _, r := range all {
			r.get(t)
		}
		noErr(t, c.Err())
		_ = c.Close(bg)
	})
}

// synctestYield lets the others go on.
func synctestYield() {
	done := make(chan struct{})
	go close(done)
	<-done
}

// runRefuser closes each channel over the first thing that is published on it.
func runRefuser(p *peer) {
	refused := map[uint16]bool{}
	for {
		f, err := p.readFrame(hour)
		if err != nil {
			return
		}
		if f.Type != wire.FrameMethod {
			continue
		}
		m, _ := p.dec.Method(f.Payload)
		var reply wire.Method
		switch m.(type) {
		case *wire.BasicPublish:
			if refused[f.Channel] {
				continue
			}
			refused[f.Channel] = true
			reply = &wire.ChannelClose{ReplyCode: 404, ReplyText: "no exchange"}
		case *wire.ChannelCloseOk:
			delete(refused, f.Channel)
			continue
		default:
			reply = echoOf(m)
		}
		b, _ := wire.AppendMethod(nil, f.Channel, reply)
		p.raw(b)
	}
}

// A call works while more deliveries wait than anybody receives.
func TestCallWhileDeliveriesWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		for tag := range uint64(5000) {
			p.deliver(1, "c", tag+1, "x")
		}
		call := async0(func() error { return ch.QueueBind(bg, QueueBind{}) })
		want[*wire.QueueBind](p, 1)
		p.send(1, &wire.QueueBindOk{})
		call.get(t)
		receive(t, c)
	})
}

// A window of many messages, of which the server refuses some: none of the
// refused ones is taken for confirmed.
func TestMixedVerdictsInALargeWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 20_000
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		var mu sync.Mutex // guards the following
		got := make([]Outcome, n)
		go func() { _ = readAll(p) }()
		for i := range n {
			noErr(t, ch.PublishTo(bg, &Publishing{}, settleFunc(func(v Verdict) {
				mu.Lock()
				defer mu.Unlock()
				got[i] = v.Outcome
			})))
		}
		refused := func(tag uint64) bool { return tag%10 == 3 }
		var b []byte
		for tag := uint64(1); tag <= n; tag++ {
			if refused(tag) { // ahead of the acks around it
				b = wire.AppendNack(b, 1, tag, false, true)
			}
			if tag%100 == 0 {
				b = wire.AppendAck(b, 1, tag, true)
			}
		}
		p.raw(b)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for i, o := range got {
			want := OutcomeConfirmed
			if refused(uint64(i + 1)) {
				want = OutcomeNacked
			}
			if o != want {
				t.Fatalf("message %d: %s, want %s", i+1, o, want)
			}
		}
	})
}

type settleFunc func(Verdict)

func (f settleFunc) Settle(v Verdict) { f(v) }
