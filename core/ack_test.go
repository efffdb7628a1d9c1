package core

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core/wire"
)

// held returns n deliveries of a new channel's consumer.
func held(t *testing.T, n int) ([]*Delivery, *Channel, *peer) {
	t.Helper()
	ch, p := openChannel(t, Config{})
	c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
	var all []*Delivery
	for tag := range uint64(n) {
		p.deliver(1, "c", tag+1, "x")
		all = append(all, receive(t, c))
	}
	return all, ch, p
}

// settled reads what the client sends, until it is quiet.
func settlements(p *peer) (s string) {
	for {
		f, err := p.readFrame(1)
		if err != nil {
			return s
		}
		if f.Type == wire.FrameHeartbeat {
			continue
		}
		switch m, _ := p.dec.Method(f.Payload); m := m.(type) {
		case *wire.BasicAck:
			s += fmt.Sprintf("ack %d%s ", m.DeliveryTag, mark1(m.Multiple, "+"))
		case *wire.BasicNack:
			s += fmt.Sprintf("nack %d%s%s ", m.DeliveryTag, mark1(m.Multiple, "+"), mark1(m.Requeue, "r"))
		case *wire.BasicReject:
			s += fmt.Sprintf("reject %d%s ", m.DeliveryTag, mark1(m.Requeue, "r"))
		default:
			s += fmt.Sprintf("%T ", m)
		}
	}
}

func mark1(b bool, s string) string {
	if b {
		return s
	}
	return ""
}

func TestALoneAckLeavesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, _, p := held(t, 3)
		noErr(t, d[1].Ack())
		if s := settlements(p); s != "ack 2 " {
			t.Error(s)
		}
		noErr(t, d[0].Nack(false))
		noErr(t, d[2].Reject(true))
		if s := settlements(p); s != "nack 1 reject 3r " {
			t.Error(s)
		}
	})
}

// Acks that meet in the outbox go as one; a gap is never covered.
func TestAcksAreGathered(t *testing.T) {
	for name, tt := range map[string]struct {
		call func(d []*Delivery, ch *Channel)
		want string
	}{
		"a run":                  {func(d []*Delivery, _ *Channel) { ackAll(d[0], d[1], d[2], d[3]) }, "ack 4+ "},
		"a run out of order":     {func(d []*Delivery, _ *Channel) { ackAll(d[3], d[1], d[0], d[2]) }, "ack 4+ "},
		"a gap":                  {func(d []*Delivery, _ *Channel) { ackAll(d[0], d[1], d[3], d[4]) }, "ack 2+ ack 4 ack 5 "},
		"a nack between":         {func(d []*Delivery, _ *Channel) { ackAll(d[2], d[0]); _ = d[1].Nack(true) }, "ack 1 ack 3 nack 2r "},
		"a nack, then its run":   {func(d []*Delivery, _ *Channel) { _ = d[1].Nack(true); ackAll(d[2], d[0]) }, "nack 2r ack 3+ "},
		"multiple by tag":        {func(d []*Delivery, ch *Channel) { ackAll(d[4]); _ = ch.Ack(3, true) }, "ack 5 ack 3+ "},
		"multiple of all":        {func(d []*Delivery, ch *Channel) { ackAll(d[0]); _ = ch.Ack(0, true) }, "ack 1 ack 6+ "},
		"nack of all":            {func(d []*Delivery, ch *Channel) { ackAll(d[2]); _ = ch.Nack(0, true, true) }, "ack 3 nack 6+r "},
		"multiple up to a gap":   {func(d []*Delivery, ch *Channel) { ackAll(d[2]); _ = ch.Ack(3, true) }, "ack 3 ack 2+ "},
		"reject by tag":          {func(d []*Delivery, ch *Channel) { _ = ch.Reject(2, false) }, "reject 2 "},
		"all, when all are done": {func(d []*Delivery, ch *Channel) { ackAll(d...); _ = ch.Ack(0, true) }, "ack 6+ "},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d, ch, p := held(t, 6)
				p.nc.In().SetBuffer(0)
				noErr(t, ch.Conn().SendHeartbeat()) // keeps the writer busy
				synctest.Wait()
				tt.call(d, ch)
				p.nc.In().SetBuffer(1 << 20)
				if s := settlements(p); s != tt.want {
					t.Errorf("sent %q, want %q", s, tt.want)
				}
			})
		})
	}
}

func ackAll(d ...*Delivery) {
	for _, d := range d {
		_ = d.Ack()
	}
}

// Where tags may never be acked, no prefix is covered.
func TestAcksGoSinglyWhereTagsHaveGaps(t *testing.T) {
	for name, before := range map[string]func(ch *Channel, p *peer){
		"automatic ack": func(ch *Channel, p *peer) { p.consume(ch, BasicConsume{ConsumerTag: "auto", NoAck: true}) },
		"get without ack": func(ch *Channel, p *peer) {
			get := async(func() (*Delivery, error) { return ch.Get(bg, BasicGet{NoAck: true}) })
			want[*BasicGet](p, 1)
			p.send(1, &wire.BasicGetEmpty{})
			get.get(p.t)
		},
		"server's cancel": func(ch *Channel, p *peer) {
			p.consume(ch, BasicConsume{ConsumerTag: "gone"})
			p.send(1, &BasicCancel{ConsumerTag: "gone", NoWait: true})
			want[*BasicCancel](p, 1)
			p.send(1, &wire.BasicCancelOk{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d, ch, p := held(t, 3)
				before(ch, p)
				sendsSingly(t, ch, p, d)
			})
		})
	}
}

// sendsSingly fails unless three acks that meet in the outbox are three frames.
func sendsSingly(t *testing.T, ch *Channel, p *peer, d []*Delivery) {
	t.Helper()
	p.nc.In().SetBuffer(0)
	noErr(t, ch.Conn().SendHeartbeat())
	synctest.Wait()
	ackAll(d...)
	p.nc.In().SetBuffer(1 << 20)
	want := fmt.Sprintf("ack %d ack %d ack %d ", d[0].Tag, d[1].Tag, d[2].Tag)
	if s := settlements(p); s != want {
		t.Errorf("sent %q, want %q", s, want)
	}
}

// A recover requeues what is unsettled: from the moment it is on the wire the
// broker knows those tags no more, and would close the channel over them.
func TestRecoverMakesDeliveriesStale(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		ended := p.consume(ch, BasicConsume{ConsumerTag: "ended"})
		for tag := range uint64(4) {
			p.deliver(1, "c", tag+1, "x")
		}
		p.deliver(1, "ended", 5, "x")
		p.deliver(1, "ended", 6, "x")
		acked, held, fetched := receive(t, c), receive(t, c), receive(t, ended)
		cancel := async0(func() error { return ended.Cancel(bg) })
		want[*BasicCancel](p, 1)
		p.send(1, &wire.BasicCancelOk{ConsumerTag: "ended"})
		cancel.get(t)
		noErr(t, acked.Ack())
		recover := async0(func() error { return ch.Recover(bg, BasicRecover{Requeue: true}) })
		if s := settlements(p); s != "ack 1 *wire.BasicRecover " {
			t.Errorf("sent %q", s)
		}
		stale := func() {
			t.Helper()
			for _, d := range []*Delivery{held, fetched} {
				for range 2 { // stale stays stale
					mustIs(t, d.Ack(), ErrStale)
				}
				mustIs(t, d.Nack(true), ErrStale)
				mustIs(t, d.Stale(), ErrStale)
			}
			for _, multiple := range []bool{false, true} {
				mustIs(t, ch.Ack(2, multiple), ErrStale)
				mustIs(t, ch.Nack(2, multiple, true), ErrStale)
			}
			mustIs(t, acked.Ack(), ErrSettled)
		}
		stale()
		mustIs(t, ch.Ack(0, true), ErrStale)
		p.deliver(1, "c", 7, "under way")
		p.send(1, &wire.BasicRecoverOk{})
		recover.get(t)
		stale()
		for _, multiple := range []bool{false, true} { // the last one in front of the answer
			mustIs(t, ch.Ack(7, multiple), ErrStale)
			mustIs(t, ch.Nack(7, multiple, true), ErrStale)
		}
		p.quiet()

		for tag := range uint64(3) {
			p.deliver(1, "c", tag+8, "again")
		}
		var d []*Delivery
		for tag := range uint64(3) {
			d = append(d, receive(t, c))
			if d[tag].Tag != tag+8 {
				t.Errorf("tag %d", d[tag].Tag)
			}
		}
		_, err := ended.Receive(bg)
		mustIs(t, err, ErrClosed)
		p.nc.In().SetBuffer(0)
		noErr(t, ch.Conn().SendHeartbeat())
		synctest.Wait()
		ackAll(d...)
		p.nc.In().SetBuffer(1 << 20)
		if s := settlements(p); s != "ack 10+ " {
			t.Errorf("sent %q", s)
		}
	})
}

// The zero value is what RabbitMQ closes the whole connection over (540).
func TestRecoverWithoutRequeueIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, ch, p := held(t, 1)
		mustAs[*ValidationError](t, ch.Recover(bg, BasicRecover{}))
		mustAs[*ValidationError](t, ch.RecoverAsync(bg, BasicRecoverAsync{}))
		_, err := ch.Request(bg, &BasicRecover{})
		mustAs[*ValidationError](t, err)
		p.quiet()
		noErr(t, d[0].Ack())
	})
}

// What a recover makes the broker deliver again does not count twice against
// the consumer's bound, and automatic ack has nothing to deliver again.
func TestRecoverEmptiesTheBuffers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"}, MaxBuffered(5, 0))
		auto := p.consume(ch, BasicConsume{ConsumerTag: "auto", NoAck: true})
		p.deliver(1, "auto", 1, "x")
		tag := uint64(1)
		for range 3 {
			for range 4 {
				tag++
				p.deliver(1, "c", tag, "x")
			}
			p.answered(async0(func() error { return ch.Recover(bg, BasicRecover{Requeue: true}) }), &wire.BasicRecoverOk{})
		}
		if d, err := c.TryReceive(); d != nil || err != nil {
			t.Errorf("%+v, %v", d, err)
		}
		if d := receive(t, auto); d.Tag != 1 {
			t.Errorf("%+v", d)
		}
		noErr(t, c.Err())
		noErr(t, ch.Err())
	})
}

// Without an answer only what came before is known to be stale; no prefix
// covers what may have been under way.
func TestRecoverAsync(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		p.deliver(1, "c", 1, "x")
		p.deliver(1, "c", 2, "x")
		old := receive(t, c)
		noErr(t, ch.RecoverAsync(bg, BasicRecoverAsync{Requeue: true}))
		want[*BasicRecoverAsync](p, 1)
		mustIs(t, old.Ack(), ErrStale)
		for tag := range uint64(3) {
			p.deliver(1, "c", tag+3, "x")
		}
		d := []*Delivery{receive(t, c), receive(t, c), receive(t, c)}
		if d[0].Tag != 3 {
			t.Errorf("tag %d", d[0].Tag)
		}
		sendsSingly(t, ch, p, d)
	})
}

func TestSettlingTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, ch, p := held(t, 3)
		noErr(t, d[0].Ack())
		for _, settle := range []func() error{
			d[0].Ack, func() error { return d[0].Nack(true) }, func() error { return d[0].Reject(true) },
			func() error { return ch.Ack(1, false) }, func() error { return ch.Ack(1, true) }, func() error { return ch.Nack(1, false, true) },
		} {
			mustIs(t, settle(), ErrSettled)
		}
		for _, settle := range []func() error{
			func() error { return ch.Ack(4, false) }, func() error { return ch.Ack(0, false) }, func() error { return ch.Nack(9, true, true) },
			func() error { return ch.Reject(0, true) }, func() error { return ch.Ack(math.MaxUint64, true) },
		} {
			mustAs[*ValidationError](t, settle())
		}
		if s := settlements(p); s != "ack 1 " {
			t.Errorf("sent %q", s)
		}
		noErr(t, ch.Err())
	})
}

// A delivery tells whether it was settled; one of automatic ack needs no settling.
func TestSettled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, ch, p := held(t, 4)
		for i, settle := range []func() error{d[0].Ack, func() error { return d[1].Nack(true) }, func() error { return d[2].Reject(false) }} {
			if d[i].Settled() {
				t.Errorf("delivery %d is settled before it was", i+1)
			}
			noErr(t, settle())
			if !d[i].Settled() {
				t.Errorf("delivery %d is not settled", i+1)
			}
		}
		if s := settlements(p); s != "ack 1 nack 2r reject 3 " {
			t.Errorf("sent %q", s)
		}
		auto := p.consume(ch, BasicConsume{ConsumerTag: "auto", NoAck: true})
		p.deliver(1, "auto", 5, "x")
		if d[3].Settled() || !receive(t, auto).Settled() {
			t.Error("one that waits is settled, or one of automatic ack is not")
		}
	})
}

// Settling nothing that came is no error for "all", and sends nothing.
func TestSettlingAllOfNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		noErr(t, ch.Ack(0, true))
		p.quiet()
	})
}

// A delivery that came from nowhere refuses.
func TestZeroDelivery(t *testing.T) {
	var d Delivery
	for _, settle := range []func() error{d.Ack, func() error { return d.Nack(true) }, func() error { return d.Reject(true) }, d.Stale} {
		if settle() == nil {
			t.Error("no error")
		}
	}
}

// However far apart tags are, memory and time do not follow them.
func TestTagsFarApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		p.deliver(1, "c", 1, "x")
		p.deliver(1, "c", math.MaxUint64-1, "x")
		first, last := receive(t, c), receive(t, c)
		noErr(t, last.Ack())
		noErr(t, ch.Ack(0, true))
		noErr(t, first.Stale())
		if s := settlements(p); s != "ack 18446744073709551614 ack 0+ " {
			t.Errorf("sent %q", s)
		}
		ch.acks.mu.Lock()
		if n := len(ch.acks.settled.words); n > maxGap/64 {
			t.Errorf("ring of %d words", n)
		}
		ch.acks.mu.Unlock()

		next := p.channel(ch.Conn())
		c = p.consume(next, BasicConsume{ConsumerTag: "c"})
		p.deliver(next.ID(), "c", math.MaxUint64-1, "x")
		receive(t, c)
		noErr(t, next.Ack(0, true))
	})
}
