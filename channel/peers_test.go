package channel

// What the tests of other clients check, where no test of another file does.

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

func TestManyChannelsWithTheirQueuesAndConsumersComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		const channels, queues = 16, 20
		var consumers [channels][queues]*Consumer
		var all sync.WaitGroup
		for i := range channels {
			ch := b.channel(t)
			all.Go(func() {
				for j := range queues {
					q := declare(t, ch, core.QueueDeclare{Queue: fmt.Sprintf("q-%d-%d", i, j), Exclusive: true})
					consumers[i][j] = consume(t, ch, q, q)
				}
			})
		}
		all.Wait()
		b.cut(t)
		b.ready(t)
		ch := b.channel(t)
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		for i := range channels {
			for j := range queues {
				q := fmt.Sprintf("q-%d-%d", i, j)
				send(t, ch, q, q)
				if got := receive(t, consumers[i][j]); got != q {
					t.Errorf("%s received %q", q, got)
				}
			}
		}
		if n := len(b.Consumers()); n != channels*queues {
			t.Errorf("%d consumers", n)
		}
	})
}

func TestListenersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, j := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		returned := 0
		ch.OnReturn(func(*core.Return) { returned++ })
		for epoch := range uint64(3) {
			if epoch > 0 {
				a.Drop()
				awaitEpoch(t, c, epoch+1)
				synctest.Wait()
			}
			a.Peers[0].Send(0, &wire.ConnectionBlocked{Reason: "low on memory"})
			a.Peers[0].Send(0, &wire.ConnectionUnblocked{})
			confirm, err := ch.PublishConfirm(t.Context(), &core.Publishing{RoutingKey: "q"})
			must(t, err)
			if v, _ := confirm.Wait(t.Context()); v.Outcome != core.OutcomeConfirmed {
				t.Errorf("verdict %v", v.Outcome)
			}
			synctest.Wait()
			if b, u := len(j.Of(recovery.EventBlocked)), len(j.Of(recovery.EventUnblocked)); b != int(epoch)+1 || u != b {
				t.Errorf("on connection %d: blocked %d, unblocked %d times", epoch+1, b, u)
			}
		}
	})
}

// No function is one that is not called.
func TestAReturnWithoutAListenerIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		returned := 0
		for range 2 {
			ch.OnReturn(func(*core.Return) { returned++ })
			ch.OnReturn(nil)
			_, err := ch.PublishConfirm(t.Context(), &core.Publishing{RoutingKey: "nowhere", Mandatory: true})
			must(t, err)
			synctest.Wait()
		}
		if returned != 0 {
			t.Errorf("%d returns were told", returned)
		}
	})
}

func TestAGetOfALostConnectionSettlesNothing(t *testing.T) {
	for _, lose := range []string{"connection", "channel"} {
		t.Run(lose, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, session.Config{})
				ch := b.channel(t)
				must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
				q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
				get := func() *core.Delivery {
					t.Helper()
					d, err := ch.Get(t.Context(), core.BasicGet{Queue: q})
					must(t, err)
					return d
				}
				send(t, ch, q, "one")
				send(t, ch, q, "two")
				stale := get()
				if lose == "connection" {
					b.cut(t)
				} else {
					b.CloseChannels(406, "PRECONDITION_FAILED")
				}
				b.ready(t)
				one, two := get(), get()
				if err := stale.Ack(); !errors.Is(err, core.ErrStale) {
					t.Errorf("the ack of a get before: %v", err)
				}
				must(t, two.Ack())
				must(t, one.Reject(true))
				synctest.Wait()
				if d := get(); d == nil || string(d.Body) != "one" {
					t.Errorf("left is %v; want one", d)
				}
			})
		})
	}
}

func TestAClosedChannelTakesItsConsumersAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		one, two := b.channel(t), b.channel(t)
		consume(t, one, declare(t, one, core.QueueDeclare{Queue: "a", Durable: true}), "a")
		must(t, one.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "x", Type: "fanout", AutoDelete: true, Durable: true}))
		consume(t, one, declare(t, one, core.QueueDeclare{Queue: "b", AutoDelete: true, Durable: true}), "b")
		must(t, one.QueueBind(t.Context(), core.QueueBind{Queue: "b", Exchange: "x"}))
		consume(t, two, "a", "c")
		must(t, one.Close(t.Context()))
		if n := b.recorder.Len(); n != 1 { // b is gone with its last consumer, and x with its last binding
			t.Errorf("%d entities recorded; want the queue a", n)
		}
		b.cut(t)
		b.ready(t)
		time.Sleep(time.Minute)
		if got := tags(b.Broker); got != "c" || len(b.Queues()) != 1 {
			t.Errorf("consumers %s, queues %v", got, b.Queues())
		}
		if err := one.Publish(t.Context(), &core.Publishing{}); !errors.Is(err, core.ErrClosed) {
			t.Errorf("publish on a closed channel: %v", err)
		}
	})
}

func TestARefusedDeletionForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "x", Type: "fanout", Durable: true}))
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		must(t, ch.QueueBind(t.Context(), core.QueueBind{Queue: q, Exchange: "x"}))
		consume(t, ch, q, "tag")
		for _, id := range []wire.MethodID{wire.MethodQueueDelete, wire.MethodQueueUnbind, wire.MethodExchangeDelete} {
			b.OnReceive(id, brokertest.Always(brokertest.Refuse(403, "ACCESS_REFUSED")))
		}
		for what, err := range map[string]error{
			"the queue":    second(ch.QueueDelete(t.Context(), core.QueueDelete{Queue: q})),
			"the binding":  ch.QueueUnbind(t.Context(), core.QueueUnbind{Queue: q, Exchange: "x"}),
			"the exchange": ch.ExchangeDelete(t.Context(), core.ExchangeDelete{Exchange: "x"}),
		} {
			if !errors.Is(err, core.ErrAccessRefused) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if n := b.recorder.Len(); n != 3 {
			t.Errorf("%d entities recorded; want 3", n)
		}
		b.Restart(brokertest.Forget)
		b.ready(t)
		if len(b.Consumers()) != 1 {
			t.Errorf("consumers %v", b.Consumers())
		}
	})
}

func TestWhatIsDeclaredWithoutWaitingComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "x", Type: "fanout", NoWait: true}))
		_, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "q", Exclusive: true, NoWait: true})
		must(t, err)
		must(t, ch.QueueBind(t.Context(), core.QueueBind{Queue: "q", Exchange: "x", NoWait: true}))
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		b.Restart()
		b.ready(t)
		confirm, err := ch.PublishConfirm(t.Context(), &core.Publishing{Exchange: "x", Mandatory: true})
		must(t, err)
		v, err := confirm.Wait(t.Context())
		must(t, err)
		must(t, v.Err())
	})
}

func TestAQueueWithANameIsNeverRenamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		consume(t, ch, declare(t, ch, core.QueueDeclare{Queue: "mine", Exclusive: true}), "tag")
		for range 3 {
			b.cut(t)
			b.ready(t)
		}
		if e := b.journal.Of(recovery.EventRenamed); len(e) != 0 || len(b.Consumers()) != 1 {
			t.Errorf("renamed %v; consumers %v", e, b.Consumers())
		}
	})
}

// The queue is there when the topology is replayed, and gone when it is to be
// consumed: it is declared again, with both bindings.
func TestAQueueThatVanishesBeforeItIsConsumedComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		for _, key := range []string{"k", "l"} {
			must(t, ch.QueueBind(t.Context(), core.QueueBind{Queue: q, Exchange: "amq.direct", RoutingKey: key}))
		}
		c := consume(t, ch, q, "tag")
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		b.OnReceive(wire.MethodBasicConsume, brokertest.Nth(1, brokertest.Refuse(404, "NOT_FOUND - no queue 'q'")))
		b.cut(t)
		b.DeleteQueue(q)
		b.ready(t)
		for _, key := range []string{"k", "l"} {
			confirm, err := ch.PublishConfirm(t.Context(), &core.Publishing{Exchange: "amq.direct", RoutingKey: key, Mandatory: true, Body: []byte(key)})
			must(t, err)
			v, err := confirm.Wait(t.Context())
			must(t, err)
			must(t, v.Err())
			if got := receive(t, c); got != key {
				t.Errorf("received %q; want %q", got, key)
			}
		}
	})
}

// A request with amq.rabbitmq.reply-to costs the channel if nobody consumes there
// yet. So what waits is published when the consumers are back.
func TestDirectReplyToIsThereBeforeARequestIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		_, err = ch.Consume(t.Context(), core.BasicConsume{Queue: "amq.rabbitmq.reply-to", ConsumerTag: "replies", NoAck: true})
		must(t, err)
		a.Stop()
		synctest.Wait() // or the request goes to the old connection
		a.Received()
		published := make(chan error)
		go func() { published <- ch.Publish(t.Context(), &core.Publishing{RoutingKey: "requests"}) }()
		time.Sleep(time.Minute)
		a.Listen(t)
		must(t, <-published)
		synctest.Wait()
		if got := a.Received(); !sessiontest.Equal(got, "basic.consume amq.rabbitmq.reply-to replies", "basic.publish requests") {
			t.Errorf("sent %v", got)
		}
	})
}

// Where a stream goes on is for its reader to say.
func TestArgumentsOfTheNextConsume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		var from []any
		a.On(func(_ *sessiontest.Peer, _ uint16, m wire.Method) bool {
			if c, ok := m.(*wire.BasicConsume); ok {
				from = append(from, c.Arguments["x-stream-offset"])
			}
			return false
		})
		c, _ := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		first := core.Table{"x-stream-offset": "first"}
		cons, err := ch.Consume(t.Context(), core.BasicConsume{Queue: "stream", ConsumerTag: "tag", Arguments: first})
		must(t, err)
		first["x-stream-offset"] = "changed"
		for epoch := range uint64(3) {
			if epoch > 0 {
				args := core.Table{"x-stream-offset": int64(100 * epoch)}
				must(t, cons.SetArguments(args))
				args["x-stream-offset"] = "changed"
			}
			a.Drop()
			awaitEpoch(t, c, epoch+2)
			synctest.Wait()
		}
		err = cons.SetArguments(core.Table{"x-stream-offset": t})
		if _, ok := errs.AsType[*core.ValidationError](err); !ok {
			t.Errorf("arguments that cannot be sent: %v", err)
		}
		if got := fmt.Sprint(from); got != "[first first 100 200]" {
			t.Errorf("consumed from %s", got)
		}
	})
}
