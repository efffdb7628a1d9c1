package channel

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// The answers to the consumes before the refused one need not have come when the broker
// closes the channel over it: none of those is put off in its place.
func TestOfSeveralConsumersOnlyTheRefusedOneIsPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		for _, q := range []string{"one", "two", "gone", "three"} {
			foreign(t, b, q)
			consume(t, ch, q, q)
		}
		b.Stop()
		b.DeleteQueue("gone")
		b.Start()
		time.Sleep(time.Minute)
		for _, e := range b.journal.Of(recovery.EventConsumerLost) {
			if !strings.Contains(e.Entity, "gone") {
				t.Errorf("%s is lost: %v", e.Entity, e.Err)
			}
		}
		if got := tags(b.Broker); len(strings.Fields(got)) != 3 || strings.Contains(got, "gone") {
			t.Errorf("consumers %s", got)
		}
		foreign(t, b, "gone")
		b.ready(t)
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 1}))
		if got := tags(b.Broker); len(strings.Fields(got)) != 4 {
			t.Errorf("consumers %s", got)
		}
	})
}

func physicalOf(ch *Channel, c *Consumer) *core.Consumer {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return c.physical
}

// A consumer that another client locks out is tried on a channel of its own: its
// sibling's channel is lost at most once, and nothing of the queue is lost or kept.
func TestALockedOutConsumerLeavesItsSiblingAlone(t *testing.T) {
	for name, noAck := range map[string]bool{"ack": false, "auto-ack": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, session.Config{})
				ch, other := b.channel(t), b.channel(t)
				must(t, other.Confirm(t.Context(), core.ConfirmSelect{}))
				foreign(t, b, "locked")
				foreign(t, b, "free")
				sibling := consume(t, ch, "free", "sibling")
				c, err := ch.Consume(t.Context(), core.BasicConsume{Queue: "locked", ConsumerTag: "tag", NoAck: noAck})
				must(t, err)
				var taken atomic.Bool
				b.OnReceive(wire.MethodBasicConsume, func(ev brokertest.Event) brokertest.Action {
					if m := ev.Method.(*wire.BasicConsume); !taken.Load() && m.Queue == "locked" {
						return brokertest.Refuse(403, "ACCESS_REFUSED - queue 'locked' in vhost '/' in exclusive use")
					}
					return brokertest.Pass
				})
				b.cut(t)
				time.Sleep(10 * time.Second)
				physical := physicalOf(ch, sibling)
				send(t, other, "free", "work")
				send(t, other, "locked", "one")
				send(t, other, "locked", "two")
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				d, err := sibling.Receive(ctx)
				must(t, err)
				time.Sleep(10 * time.Minute) // the work
				must(t, d.Ack())
				lost, tried := len(b.journal.Of(recovery.EventChannelLost)), len(b.journal.Of(recovery.EventConsumerLost))
				if physicalOf(ch, sibling) != physical || lost > 1 || tried < 10 || tried > 1000 {
					t.Errorf("the channel was lost %d times over %d refusals", lost, tried)
				}
				if s := b.conn.State(); len(s.Degraded) != 1 || !errors.Is(s.Degraded[0], core.ErrAccessRefused) {
					t.Errorf("state %+v", s)
				}
				taken.Store(true)
				b.ready(t)
				if physicalOf(ch, sibling) != physical {
					t.Error("the sibling was hurt when the other was taken")
				}
				for _, want := range []string{"one", "two"} {
					d, err := c.Receive(t.Context())
					must(t, err)
					if string(d.Body) != want {
						t.Errorf("received %q, want %q", d.Body, want)
					}
					if !noAck {
						must(t, d.Ack())
					}
				}
			})
		})
	}
}

// The first consume of a channel that has company when another one makes the broker close the
// connection is repeated; that other one is told.
func TestAFirstConsumeBesideTheOneThatClosesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		foreign(t, b, "good")
		foreign(t, b, "bad")
		b.OnReceive(wire.MethodBasicConsume, func(ev brokertest.Event) brokertest.Action {
			if ev.Method.(*wire.BasicConsume).Queue == "bad" {
				return brokertest.Refuse(541, "INTERNAL_ERROR - timed out consuming")
			}
			return brokertest.Delay(10 * time.Millisecond)
		})
		good, bad := b.channel(t), b.channel(t)
		result := make(chan error, 1)
		go func() {
			_, err := good.Consume(t.Context(), core.BasicConsume{Queue: "good", ConsumerTag: "good"})
			result <- err
		}()
		if _, err := bad.Consume(t.Context(), core.BasicConsume{Queue: "bad"}); !errors.Is(err, core.ErrInternal) {
			t.Errorf("%v", err)
		}
		must(t, <-result)
		b.ready(t)
		if got := tags(b.Broker); got != "good" {
			t.Errorf("consumers %s", got)
		}
	})
}

// After a loss several channels start their consumers at the same moment: only that which the
// broker closes the connection over is put off.
func TestOfSeveralChannelsOnlyTheOffenderIsPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		for _, q := range []string{"one", "two", "bad", "three"} {
			foreign(t, b, q)
			consume(t, b.channel(t), q, q)
		}
		hook := b.OnReceive(wire.MethodBasicConsume, func(ev brokertest.Event) brokertest.Action {
			if ev.Method.(*wire.BasicConsume).Queue == "bad" {
				return brokertest.Refuse(541, "INTERNAL_ERROR - timed out consuming")
			}
			return brokertest.Delay(20 * time.Millisecond)
		})
		b.cut(t)
		time.Sleep(4 * time.Second) // less than until it is tried again
		if got := tags(b.Broker); len(strings.Fields(got)) != 3 || strings.Contains(got, "bad") {
			t.Errorf("consumers %s", got)
		}
		time.Sleep(time.Hour)
		for _, e := range b.journal.Of(recovery.EventConsumerLost) {
			if !strings.Contains(e.Entity, "bad") {
				t.Errorf("%s is lost: %v", e.Entity, e.Err)
			}
		}
		if n := len(b.journal.Of(recovery.EventLost)); n > 25 {
			t.Errorf("%d connections lost in an hour", n)
		}
		hook.Remove()
		b.ready(t)
	})
}

// A channel that waits for its turn is opened again at once when its physical one is lost.
func TestWhoHoldsTheTurnDoesNotKeepALostChannelFromBeingOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		must(t, ch.takeTurn(t.Context()))
		ch.look()
		synctest.Wait() // it waits for the turn
		b.cut(t)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := ch.ready(ctx)
		must(t, err)
		ch.endTurn()
	})
}
