package channel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

// A: a delivery's tag is acked on the connection that brought it, or nowhere.
func TestAStaleAckNeverSettlesAnotherMessage(t *testing.T) {
	for _, lose := range []string{"connection", "channel"} {
		t.Run(lose, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, session.Config{})
				ch := b.channel(t)
				must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
				q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
				c := consume(t, ch, q, "tag")
				send(t, ch, q, "one")
				stale, err := c.Receive(t.Context())
				must(t, err)
				if lose == "connection" {
					b.cut(t)
				} else {
					b.CloseChannels(406, "PRECONDITION_FAILED")
				}
				b.ready(t)
				again, err := c.Receive(t.Context())
				must(t, err)
				if again.Tag != stale.Tag || !again.Redelivered {
					t.Errorf("redelivered as tag %d, %t; want the tag %d again", again.Tag, again.Redelivered, stale.Tag)
				}
				for _, settle := range []func() error{
					stale.Ack,
					func() error { return stale.Nack(false) },
					func() error { return ch.Ack(stale, true) },
					func() error { return ch.Nack(stale, true, false) },
				} {
					if err := settle(); !errors.Is(err, core.ErrStale) {
						t.Errorf("settling a stale delivery: %v", err)
					}
				}
				synctest.Wait()
				if got, _ := b.Queue(q); got.Unacked != 1 {
					t.Errorf("unacked %d; want the redelivered one", got.Unacked)
				}
				must(t, again.Ack())
			})
		})
	}
}

// A2: what was prefetched from a lost connection never reaches the application.
func TestPrefetchedStaleDeliveriesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		for i := range 10 {
			send(t, ch, q, fmt.Sprint(i))
		}
		c := consume(t, ch, q, "tag")
		synctest.Wait() // all ten are here
		b.cut(t)
		b.ready(t)
		for i := range 10 {
			d, err := c.Receive(t.Context())
			must(t, err)
			if d.Stale() != nil || !d.Redelivered || string(d.Body) != fmt.Sprint(i) {
				t.Errorf("delivery %d: %q, redelivered %t, stale %v", i, d.Body, d.Redelivered, d.Stale())
			}
			must(t, d.Ack())
		}
		if d, err := c.TryReceive(); d != nil || err != nil {
			t.Errorf("one more: %v, %v", d, err)
		}
	})
}

// B: what a channel declared outlives it.
func TestTopologyOfAClosedChannelComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		setup := b.channel(t)
		must(t, setup.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "x", Type: "fanout", Internal: false}))
		q := declare(t, setup, core.QueueDeclare{Queue: "mine", Exclusive: true})
		must(t, setup.QueueBind(t.Context(), core.QueueBind{Queue: q, Exchange: "x"}))
		must(t, setup.Close(t.Context()))
		ch := b.channel(t)
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		c := consume(t, ch, q, "tag")
		b.Restart()
		b.ready(t)
		confirm, err := ch.PublishConfirm(t.Context(), &core.Publishing{Exchange: "x", Mandatory: true, Body: []byte("m")})
		must(t, err)
		if v, _ := confirm.Wait(t.Context()); v.Outcome != core.OutcomeConfirmed {
			t.Errorf("verdict %v", v.Outcome)
		}
		if got := receive(t, c); got != "m" {
			t.Errorf("received %q", got)
		}
	})
}

// F: nothing is published between channel.open and confirm.select.
func TestNothingIsPublishedBeforeConfirmModeIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 5}))
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		held := make(chan func(), 1) // the answer to the last method that is not answered by itself
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			switch m.(type) {
			case *wire.ChannelOpen, *wire.BasicQos: // those that a channel waits for on its way
				held <- func() { p.Answer(channel, m) }
				return true
			}
			return false
		})
		time.Sleep(time.Second) // or the next connection comes later
		a.Drop()
		synctest.Wait() // the channel is being opened
		a.Received()
		verdicts := make(chan core.Verdict, 10)
		for i := range 10 {
			go func() {
				confirm, err := ch.PublishConfirm(context.Background(), &core.Publishing{RoutingKey: fmt.Sprint(i)})
				if err != nil {
					t.Error(err)
					verdicts <- core.Verdict{}
					return
				}
				v, _ := confirm.Wait(context.Background())
				verdicts <- v
			}()
		}
		for range 2 {
			synctest.Wait() // whoever may publish has done so
			(<-held)()
		}
		for range 10 {
			if v := <-verdicts; v.Outcome != core.OutcomeConfirmed {
				t.Errorf("verdict %v", v.Outcome)
			}
		}
		got := a.Received()
		if len(got) != 12 || !sessiontest.Equal(got[:2], "basic.qos 5", "confirm.select") {
			t.Errorf("sent on the new channel: %v", got)
		}
	})
}

// G: a publish has its verdict when its connection dies, not at the next one.
func TestOutstandingPublishesAreSettledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		a.On(func(_ *sessiontest.Peer, _ uint16, m wire.Method) bool { _, ok := m.(*wire.BasicPublish); return ok }) // no verdict
		confirm, err := ch.PublishConfirm(t.Context(), &core.Publishing{RoutingKey: "q"})
		must(t, err)
		synctest.Wait()
		begun := time.Now()
		a.Stop() // and nobody listens any more
		v, err := confirm.Wait(t.Context())
		if err != nil || v.Outcome != core.OutcomeUnknown || errors.Is(v.Err(), core.ErrNacked) || time.Since(begun) != 0 {
			t.Errorf("%v, %v after %s", v.Outcome, err, time.Since(begun))
		}
	})
}

// H: a consume that is never answered stops neither recovery nor Close.
func TestAConsumeWithoutAnswerHangsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := connected(t, session.Config{}, a.Endpoint())
		stuck, err := Open(t.Context(), c)
		must(t, err)
		consume(t, stuck, "leaderless", "stuck")
		consume(t, stuck, "fine", "sibling")
		hung := map[uint16]bool{}
		a.On(func(_ *sessiontest.Peer, channel uint16, m wire.Method) bool {
			switch m := m.(type) {
			case *wire.ChannelOpen, *wire.ChannelClose:
				hung[channel] = false
			case *wire.BasicConsume:
				hung[channel] = hung[channel] || m.Queue == "leaderless"
			}
			return hung[channel]
		})
		a.Drop()
		awaitEpoch(t, c, 2) // publishers do not wait for it
		time.Sleep(16 * time.Second)
		synctest.Wait()
		s := c.State()
		if len(s.Degraded) != 1 || !errors.Is(s.Degraded[0], core.ErrTimeout) || !strings.Contains(s.Degraded[0].Entity, "stuck") {
			t.Errorf("state %+v", s)
		}
		if got := fmt.Sprint(a.Received()); !strings.Contains(got, "basic.consume fine sibling") {
			t.Errorf("the sibling is not back: %s", got)
		}
		time.Sleep(2 * time.Second) // it is being tried again
		begun := time.Now()
		if err := c.Close(t.Context()); err != nil || time.Since(begun) != 0 {
			t.Errorf("close: %v after %s", err, time.Since(begun))
		}
	})
}

// I: a channel that is closed again and again is reopened ever more slowly.
func TestASoftErrorStormIsSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, j := connected(t, session.Config{}, a.Endpoint())
		opened := 0
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			switch m.(type) {
			case *wire.ChannelOpen:
				opened++
			case *wire.BasicPublish:
				return p.Refuse(channel, m, core.ErrNotFound, "NOT_FOUND - no exchange 'gone'")
			}
			return false
		})
		ch, err := Open(t.Context(), c)
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		published := 0
		for ; ctx.Err() == nil && published < 1000; published++ {
			_ = ch.Publish(ctx, &core.Publishing{Exchange: "gone"})
			synctest.Wait() // until the broker has refused it
		}
		if opened > 10 || published > 10 {
			t.Errorf("%d channels opened and %d messages lost in 2 s; want at most 10", opened, published)
		}
		if e := j.Last(t, recovery.EventChannelLost); e.Delay == 0 || !errors.Is(e.Err, core.ErrNotFound) {
			t.Errorf("event %v after %s", e.Err, e.Delay)
		}
		other, err := Open(t.Context(), c) // it is this channel's trouble alone
		must(t, err)
		if _, err := other.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "q"}); err != nil {
			t.Error(err)
		}
	})
}
