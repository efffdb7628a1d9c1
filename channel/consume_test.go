package channel

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
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

// foreign declares a queue without the client's knowledge.
func foreign(t *testing.T, b *bed, queue string) {
	t.Helper()
	s, err := b.conn.Session(t.Context())
	must(t, err)
	raw, err := s.Conn.Channel(t.Context())
	must(t, err)
	_, err = raw.QueueDeclare(t.Context(), core.QueueDeclare{Queue: queue, Durable: true})
	must(t, err)
	must(t, raw.Close(t.Context()))
}

func TestADeletedQueueComesBackWithItsConsumerIfTheClientDeclaredIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "x", Type: "direct", Durable: true}))
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		must(t, ch.QueueBind(t.Context(), core.QueueBind{Queue: q, Exchange: "x", RoutingKey: "k"}))
		c := consume(t, ch, q, "tag")
		sibling := consume(t, ch, declare(t, ch, core.QueueDeclare{Queue: "other", Durable: true}), "sibling")
		physical := sibling.physical
		b.DeleteQueue(q)
		b.ready(t)
		confirm, err := ch.PublishConfirm(t.Context(), &core.Publishing{Exchange: "x", RoutingKey: "k", Mandatory: true, Body: []byte("m")})
		must(t, err)
		v, _ := confirm.Wait(t.Context())
		must(t, v.Err())
		if got := receive(t, c); got != "m" {
			t.Errorf("received %q", got)
		}
		if sibling.physical != physical || len(b.Connections()) != 1 {
			t.Error("the sibling was hurt")
		}
		if e := b.journal.Last(t, recovery.EventConsumerLost); !errors.Is(e.Err, core.ErrCancelled) {
			t.Errorf("event %v", e.Err)
		}
	})
}

func TestADeletedQueueOfOthersIsWaitedForWithoutHurtingAnyone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		foreign(t, b, "q")
		foreign(t, b, "other")
		c := consume(t, ch, "q", "tag")
		sibling := consume(t, ch, "other", "sibling")
		physical := sibling.physical
		b.DeleteQueue("q")
		time.Sleep(10 * time.Minute)
		s := b.conn.State()
		if s.Stage != recovery.StagePublishReady || len(s.Degraded) != 1 || !errors.Is(s.Degraded[0], core.ErrNotFound) {
			t.Errorf("state %+v", s)
		}
		if n := len(b.journal.Of(recovery.EventConsumerLost)); n < 10 || n > 60 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		foreign(t, b, "q")
		b.ready(t)
		if sibling.physical != physical {
			t.Error("the sibling was hurt")
		}
		if c.Err() != nil || tags(b.Broker) != "sibling tag" && tags(b.Broker) != "tag sibling" {
			t.Errorf("consumers %s", tags(b.Broker))
		}
	})
}

// The broker says for a while neither that the queue is there nor that it is not.
func TestACancelledConsumerIsTriedAgainWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		c := consume(t, ch, declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true}), "tag")
		foreign(t, b, "other")
		other := consume(t, ch, "other", "other")
		swallow := b.OnReceive(wire.MethodQueueDeclare, brokertest.Always(brokertest.Swallow))
		for range 5 { // from the fourth on it waits before it is looked for
			b.CancelConsumer("tag")
			b.CancelConsumer("other")
			time.Sleep(40 * time.Second)
		}
		if n := swallow.Hits(); n > 40 {
			t.Errorf("asked %d times in 200 s", n)
		}
		if s := b.conn.State(); s.Ready() || len(s.Degraded) != 2 || !errors.Is(s.Degraded[0], core.ErrTimeout) {
			t.Errorf("state %+v", s)
		}
		swallow.Remove()
		b.ready(t)
		if got := len(b.Consumers()); got != 2 || c.Err() != nil || other.Err() != nil {
			t.Errorf("consumers %s", tags(b.Broker))
		}
	})
}

func TestACancelledConsumerIsTriedAgainWithoutAFreeChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBedAt(t, session.Config{}, func(c *core.Config) { c.ChannelMax = 2 })
		ch := b.channel(t)
		consume(t, ch, declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true}), "tag")
		busy := b.channel(t)
		b.CancelConsumer("tag")
		time.Sleep(time.Minute)
		if s := b.conn.State(); len(s.Degraded) != 1 || !errors.Is(s.Degraded[0], core.ErrChannelsExhausted) {
			t.Errorf("state %+v", s)
		}
		must(t, busy.Close(t.Context()))
		b.ready(t)
		if got := tags(b.Broker); got != "tag" {
			t.Errorf("consumers %s", got)
		}
	})
}

func TestAConsumerEndsWhenItsBudgetIsSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{Config: recovery.Config{Semantic: recovery.Budget{Attempts: 3}}})
		ch := b.channel(t)
		foreign(t, b, "q")
		c := consume(t, ch, "q", "tag")
		b.DeleteQueue("q")
		<-c.Done()
		if _, err := c.Receive(t.Context()); !errors.Is(err, core.ErrNotFound) || !strings.Contains(err.Error(), "gave up after 3 attempts") {
			t.Errorf("error %v", err)
		}
		if e := b.journal.Of(recovery.EventConsumerEnded); len(e) != 1 || !errors.Is(e[0].Err, core.ErrNotFound) || e[0].Entity != c.String() {
			t.Errorf("events %v", e)
		}
		if n := len(b.journal.Of(recovery.EventConsumerLost)); n != 3 { // its cancel, and two attempts after which it is tried again
			t.Errorf("it is said to come back %d times", n)
		}
		must(t, consume(t, ch, declare(t, ch, core.QueueDeclare{Queue: "other"}), "").Cancel(t.Context()))
		consume(t, ch, "other", "")
		must(t, ch.Close(t.Context()))
		if n := len(b.journal.Of(recovery.EventConsumerEnded)); n != 1 {
			t.Errorf("%d events; want none of what the application ends", n-1)
		}
	})
}

// What ended by itself is missing, whatever is lost meanwhile, until the application has done something about it.
func TestAConsumerThatEndedStaysInTheState(t *testing.T) {
	for name, mend := range map[string]func(t *testing.T, ch *Channel, c *Consumer){
		"its channel is closed": func(t *testing.T, ch *Channel, c *Consumer) { must(t, ch.Close(t.Context())) },
		"it is cancelled":       func(t *testing.T, ch *Channel, c *Consumer) { must(t, c.Cancel(t.Context())) },
		"another takes its tag": func(t *testing.T, ch *Channel, c *Consumer) {
			consume(t, ch, declare(t, ch, core.QueueDeclare{Queue: "other"}), c.Tag())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, session.Config{Config: recovery.Config{Semantic: recovery.Budget{Attempts: 2}}})
				ch := b.channel(t)
				foreign(t, b, "q")
				c := consume(t, ch, "q", "tag")
				consume(t, ch, declare(t, ch, core.QueueDeclare{Queue: "fine", Durable: true}), "fine")
				b.ready(t)
				b.DeleteQueue("q")
				<-c.Done()
				missing := func() {
					t.Helper()
					synctest.Wait()
					if s := b.conn.State(); s.Ready() || len(s.Degraded) != 1 || s.Degraded[0].Entity != c.String() || !errors.Is(s.Degraded[0], core.ErrNotFound) {
						t.Errorf("state %+v", s)
					}
				}
				missing()
				consume(t, ch, "fine", "another tag")
				b.cut(t)
				time.Sleep(time.Minute)
				missing()
				mend(t, ch, c)
				b.ready(t)
				b.cut(t)
				b.ready(t)
			})
		})
	}
}

func TestConsumersOfAConnectionThatIsGivenUpEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{Config: recovery.Config{Network: recovery.Budget{Attempts: 2}}})
		ch := b.channel(t)
		c := consume(t, ch, declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true}), "tag")
		b.Stop()
		<-c.Done()
		synctest.Wait() // somebody else may be handing the event over
		if e := b.journal.Of(recovery.EventConsumerEnded); len(e) != 1 || e[0].Err == nil || errors.Is(e[0].Err, core.ErrClosed) {
			t.Errorf("events %v", e)
		}
	})
}

// Wherever the channel's goroutine is when a consumer is cancelled: looking at
// the consumers just then, it must not overlook that one.
func TestACancelAtAnyMomentIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{Config: recovery.Config{Semantic: recovery.Budget{Attempts: 1}}})
		ch := b.channel(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for i := range 300 {
			q := fmt.Sprintf("q%d", i)
			foreign(t, b, q)
			c := consume(t, ch, q, q)
			for range i % 30 {
				runtime.Gosched()
			}
			b.DeleteQueue(q)
			select {
			case <-c.Done():
			case <-ctx.Done():
				t.Fatalf("consumer %d never ended", i)
			}
		}
	})
}

func TestACancelledConsumerDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		one, two, three := consume(t, ch, q, "one"), consume(t, ch, q, "two"), consume(t, ch, q, "three")
		must(t, one.Cancel(t.Context()))
		must(t, ch.Cancel(t.Context(), core.BasicCancel{ConsumerTag: "two", NoWait: true}))
		b.Stop()
		synctest.Wait()
		must(t, three.Cancel(t.Context())) // without a connection
		b.Start()
		b.ready(t)
		if got := tags(b.Broker); got != "" {
			t.Errorf("consumers %s", got)
		}
		for _, c := range []*Consumer{one, two, three} {
			if _, err := c.Receive(t.Context()); !errors.Is(err, core.ErrClosed) || !errors.Is(c.Err(), core.ErrClosed) {
				t.Errorf("%s: %v", c.Tag(), err)
			}
		}
		consume(t, ch, q, "one") // the tag is free
	})
}

// The broker answers the basic.consume that starts it again when it is
// cancelled already: neither it nor what it was sent stays there.
func TestACancelWhileAConsumerIsStartedAgain(t *testing.T) {
	for _, noAck := range []bool{false, true} {
		t.Run(fmt.Sprintf("no ack %t", noAck), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, session.Config{})
				ch := b.channel(t)
				q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
				c, err := ch.Consume(t.Context(), core.BasicConsume{Queue: q, ConsumerTag: "tag", NoAck: noAck})
				must(t, err)
				sibling := consume(t, ch, declare(t, ch, core.QueueDeclare{Queue: "other", Durable: true}), "sibling")
				delay := b.OnReceive(wire.MethodBasicConsume, brokertest.Always(brokertest.Delay(time.Second)))
				time.Sleep(time.Second) // or the next connection comes later
				b.cut(t)
				if delay.Hits() == 0 {
					t.Fatal("it is not being started")
				}
				elsewhere, _ := connected(t, session.Config{}, core.Config{Addr: "broker:5672", Heartbeat: -1, DialContext: b.DialContext})
				publisher, err := Open(t.Context(), elsewhere)
				must(t, err)
				must(t, publisher.Confirm(t.Context(), core.ConfirmSelect{}))
				send(t, publisher, q, "m")
				must(t, c.Cancel(t.Context()))
				delay.Remove()
				b.ready(t)
				if got := tags(b.Broker); got != "sibling" || sibling.Err() != nil {
					t.Errorf("consumers %s; want the sibling", got)
				}
				if got, _ := b.Queue(q); !noAck && (got.Ready != 1 || got.Unacked != 0) {
					t.Errorf("%d messages ready, %d unacked; want the one ready", got.Ready, got.Unacked)
				}
				if noAck { // it was taken off the queue, so it is here
					if d, err := c.TryReceive(); d == nil || err != nil {
						t.Errorf("received %v, %v", d, err)
					}
				}
				consume(t, ch, q, "tag") // the tag is free
				if n := len(b.journal.Of(recovery.EventLost)); n != 1 {
					t.Errorf("%d connections lost", n)
				}
			})
		})
	}
}

// One that is cancelled before its turn has come is not started at all.
func TestACancelBeforeAConsumerIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		var consumers []*Consumer
		for i := range 3 { // with a prefetch each, and so one after the other
			must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: uint16(i + 1)}))
			consumers = append(consumers, consume(t, ch, q, fmt.Sprint(i)))
		}
		asked := b.OnReceive(wire.MethodBasicConsume, brokertest.Always(brokertest.Delay(time.Second)))
		time.Sleep(time.Second) // or the next connection comes later
		b.cut(t)
		must(t, consumers[2].Cancel(t.Context()))
		b.ready(t)
		if got := tags(b.Broker); got != "0 1" || asked.Hits() != 2 {
			t.Errorf("consumers %s after %d basic.consume; want the first two", got, asked.Hits())
		}
	})
}

func TestWhatArrivedBeforeACancelCanBeReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		send(t, ch, q, "m")
		c := consume(t, ch, q, "tag")
		synctest.Wait()
		must(t, c.Cancel(t.Context()))
		if got := receive(t, c); got != "m" {
			t.Errorf("received %q", got)
		}
		for d, err := range c.All(t.Context()) {
			if d != nil || !errors.Is(err, core.ErrClosed) {
				t.Errorf("then %v, %v", d, err)
			}
		}
	})
}

func TestATagInUseIsRefusedBeforeItCostsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		consume(t, ch, q, "tag")
		_, err := ch.Consume(t.Context(), core.BasicConsume{Queue: q, ConsumerTag: "tag"})
		if _, ok := errs.AsType[*core.ValidationError](err); !ok {
			t.Errorf("error %v", err)
		}
		if _, err = ch.Consume(t.Context(), core.BasicConsume{Queue: "missing", ConsumerTag: "free"}); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("error %v", err)
		}
		consume(t, ch, q, "free")
		consume(t, b.channel(t), q, "tag")   // on another channel
		named := consume(t, ch, q, "").Tag() // by the broker
		_, err = ch.Consume(t.Context(), core.BasicConsume{Queue: q, ConsumerTag: named})
		if _, ok := errs.AsType[*core.ValidationError](err); !ok {
			t.Errorf("error %v", err)
		}
		b.cut(t)
		b.ready(t)
		if got := len(b.Consumers()); got != 4 {
			t.Errorf("%d consumers", got)
		}
	})
}

func TestAnOverflowIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		c, err := ch.Consume(t.Context(), core.BasicConsume{Queue: q, NoAck: true}, core.MaxBuffered(2, 0))
		must(t, err)
		for i := range 4 {
			send(t, ch, q, fmt.Sprint(i))
		}
		<-c.Done()
		var got []string
		for d, err := range c.All(t.Context()) {
			if err != nil {
				if !errors.Is(err, core.ErrOverflow) {
					t.Errorf("ended with %v", err)
				}
				break
			}
			got = append(got, string(d.Body))
		}
		if len(got) < 2 {
			t.Errorf("received %v", got)
		}
		if e := b.journal.Last(t, recovery.EventConsumerEnded); !errors.Is(e.Err, core.ErrOverflow) || e.Entity != c.String() {
			t.Errorf("event %+v", e)
		}
	})
}

func TestManyConsumersComeBackInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		const n = 1000
		for i := range n {
			consume(t, ch, "q", fmt.Sprintf("tag-%04d", i))
		}
		a.Received()
		a.Drop()
		synctest.Wait()
		must(t, c.Await(t.Context(), recovery.State.Ready))
		got := a.Received()
		if len(got) != n {
			t.Fatalf("%d methods", len(got))
		}
		for i, m := range got {
			if m != fmt.Sprintf("basic.consume q tag-%04d", i) {
				t.Fatalf("method %d is %s", i, m)
			}
		}
	})
}

// More than a channel may have unless it is asked for, each with a queue.
func TestAThousandAndTwentyFourConsumersOfOneChannelComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1024
		b := newBedAt(t, session.Config{}, func(c *core.Config) { c.MaxConsumers = n })
		ch := b.channel(t)
		for i := range n {
			q := declare(t, ch, core.QueueDeclare{Queue: fmt.Sprintf("q%04d", i), Exclusive: true})
			consume(t, ch, q, q)
		}
		want := tags(b.Broker)
		b.cut(t)
		b.ready(t)
		if got := tags(b.Broker); got != want || len(b.Consumers()) != n {
			t.Errorf("%d consumers: %s", len(b.Consumers()), got)
		}
		if told := b.journal.Of(recovery.EventConsumerRestored); len(told) != n {
			t.Errorf("%d are said to be back", len(told))
		}
	})
}

// Of a server-named queue the first name is remembered, and the latest few. Who
// came to it in between follows it all the same.
func TestAQueueIsFollowedOverAnyNumberOfNames(t *testing.T) {
	losses := map[string]func(t *testing.T, b *bed){
		"connection": func(t *testing.T, b *bed) { b.cut(t) },
		"queue":      func(_ *testing.T, b *bed) { b.DeleteQueue(b.recorder.Snapshot().Queues[0].Name) },
	}
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, session.Config{})
				ch := b.channel(t)
				first := declare(t, ch, core.QueueDeclare{AutoDelete: true, Exclusive: true})
				b.cut(t)
				b.ready(t)
				second := declare(t, ch, core.QueueDeclare{Queue: first, Passive: true})
				c := consume(t, ch, second, "tag")
				for range 40 {
					lose(t, b)
					b.ready(t)
				}
				present := b.conn.Resolve(first)
				must(t, ch.Publish(t.Context(), &core.Publishing{RoutingKey: present, Body: []byte("one")}))
				if got := receive(t, c); got != "one" || b.conn.Resolve(second) == present {
					t.Errorf("received %q; %s is %s", got, second, b.conn.Resolve(second))
				}
				if _, err := ch.QueuePurge(t.Context(), core.QueuePurge{}); err != nil {
					t.Errorf("the queue declared last: %v", err)
				}
				must(t, c.Cancel(t.Context()))
				if n := b.recorder.Len(); n != 0 {
					t.Errorf("%d entities recorded; want the queue gone with its last consumer", n)
				}
			})
		})
	}
}

// A connection that dies because its peer does not read is no consumer's fault.
func TestNoConsumerIsBlamedForAStalledConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBedAt(t, session.Config{}, func(cfg *core.Config) { cfg.WriteTimeout, cfg.RPCTimeout = 5*time.Second, time.Minute })
		ch := b.channel(t)
		declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		const n = 40
		for i := range n {
			_, err := ch.Consume(t.Context(), core.BasicConsume{
				Queue: "q", ConsumerTag: fmt.Sprint(i), Arguments: core.Table{"x-much": strings.Repeat("x", 100<<10)},
			})
			must(t, err)
		}
		stall := b.OnReceive(wire.MethodBasicConsume, func(e brokertest.Event) brokertest.Action {
			if e.N > 1 {
				return brokertest.Pass
			}
			b.Links()[0].StallReceiving()
			return brokertest.Swallow
		})
		b.cut(t)
		b.ready(t)
		if stall.Hits() <= n || b.conn.State().Epoch != 3 || !errors.Is(b.journal.Last(t, recovery.EventLost).Err, core.ErrTimeout) {
			t.Errorf("epoch %d, lost for %v", b.conn.State().Epoch, b.journal.Last(t, recovery.EventLost).Err)
		}
		if lost := b.journal.Of(recovery.EventConsumerLost); len(lost) != 0 || len(b.Consumers()) != n {
			t.Errorf("%d consumers are there, put off %+v", len(b.Consumers()), lost)
		}
	})
}

func TestAConsumerThatClosesConnectionsIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, j := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		for i := range 5 {
			consume(t, ch, fmt.Sprintf("q%d", i), fmt.Sprintf("tag%d", i))
		}
		a.On(func(p *sessiontest.Peer, _ uint16, m wire.Method) bool {
			if consume, ok := m.(*wire.BasicConsume); ok && consume.Queue == "q3" {
				return p.Kill(m, core.ErrInternal, "INTERNAL_ERROR")
			}
			return false
		})
		a.Drop()
		time.Sleep(4 * time.Second) // less than until it is tried again
		s := c.State()
		if len(s.Degraded) != 1 || !strings.Contains(s.Degraded[0].Entity, "tag3") || s.Stage != recovery.StagePublishReady {
			t.Errorf("state %+v", s)
		}
		if s.Epoch > 4 {
			t.Errorf("%d connections were needed to find it", s.Epoch-1)
		}
		time.Sleep(time.Hour)
		if n := len(j.Of(recovery.EventLost)); n > 25 {
			t.Errorf("%d connections lost in an hour", n)
		}
		a.On(nil)
		must(t, c.Await(t.Context(), recovery.State.Ready))
	})
}

// What the next node's frames are too small for hurts no other consumer.
func TestAConsumerThatCannotBeSentIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, j := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		var all []*Consumer
		for i := range 6 {
			m := core.BasicConsume{Queue: "q", ConsumerTag: fmt.Sprint(i)}
			if i == 2 || i == 3 {
				m.Arguments = core.Table{"x-long": strings.Repeat("x", 10_000)}
			}
			consumer, err := ch.Consume(t.Context(), m)
			must(t, err)
			all = append(all, consumer)
		}
		a.On(func(p *sessiontest.Peer, _ uint16, m wire.Method) bool {
			_, ok := m.(*wire.ConnectionStartOk)
			if ok {
				p.Send(0, &wire.ConnectionTune{FrameMax: 4096})
			}
			return ok
		})
		a.Received()
		a.Drop()
		time.Sleep(time.Minute)
		want := []string{"basic.consume q 0", "basic.consume q 1", "basic.consume q 4", "basic.consume q 5"}
		got := slices.DeleteFunc(a.Received(), func(m string) bool { return m == "queue.declare passive q" })
		if !sessiontest.Equal(got, want...) {
			t.Errorf("sent %v", got)
		}
		s := c.State()
		if len(s.Degraded) != 2 || !strings.Contains(s.Degraded[0].Entity, `"2"`) || !strings.Contains(s.Degraded[1].Entity, `"3"`) {
			t.Errorf("state %+v", s)
		}
		if lost := j.Of(recovery.EventChannelLost); len(lost) != 0 {
			t.Errorf("channels lost: %v", lost)
		}
		must(t, all[3].Cancel(t.Context()))
		consume(t, ch, "q", "3") // its tag is free again
		a.On(nil)
		a.Drop()
		must(t, c.Await(t.Context(), recovery.State.Ready))
	})
}

func TestDeclareConsumeCancelLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		cycles := 10_000
		if testing.Short() {
			cycles = 1000
		}
		for range cycles {
			must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "x", Type: "fanout", AutoDelete: true}))
			declare(t, ch, core.QueueDeclare{AutoDelete: true})
			must(t, ch.QueueBind(t.Context(), core.QueueBind{Exchange: "x"}))
			c := consume(t, ch, "", "tag")
			must(t, c.Cancel(t.Context()))
		}
		synctest.Wait()
		if n := b.recorder.Len(); n != 0 || len(ch.consumers) != 0 || len(ch.taken) != 0 {
			t.Errorf("%d entities, %d consumers, %d tags are left", n, len(ch.consumers), len(ch.taken))
		}
		if len(b.Queues()) != 0 {
			t.Errorf("queues %v", b.Queues())
		}
	})
}
