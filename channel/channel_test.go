package channel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

// bed is a broker in memory with a client's connection to it.
type bed struct {
	*brokertest.Broker
	conn     *session.Connection
	journal  *sessiontest.Journal
	recorder *record.Recorder
}

// newBed returns a bed; call it in a bubble.
func newBed(t *testing.T, cfg session.Config, opts ...brokertest.Option) *bed {
	t.Helper()
	return newBedAt(t, cfg, func(*core.Config) {}, opts...)
}

// newBedAt is newBed for another endpoint than the usual one.
func newBedAt(t *testing.T, cfg session.Config, change func(*core.Config), opts ...brokertest.Option) *bed {
	t.Helper()
	b := &bed{Broker: brokertest.New(t, opts...), recorder: record.NewRecorder()}
	if cfg.Recorder != nil {
		b.recorder = cfg.Recorder
	}
	cfg.Recorder = b.recorder
	endpoint := core.Config{Addr: "broker:5672", Heartbeat: -1, DialContext: b.DialContext}
	change(&endpoint)
	b.conn, b.journal = connected(t, cfg, endpoint)
	return b
}

func (b *bed) channel(t *testing.T) *Channel {
	t.Helper()
	ch, err := Open(t.Context(), b.conn)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func (b *bed) cut(t *testing.T) {
	t.Helper()
	if b.Cut() == 0 {
		t.Fatal("nothing was cut")
	}
	synctest.Wait() // until the client has noticed
}

// ready waits until everything is as it was.
func (b *bed) ready(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	synctest.Wait()
	if err := b.conn.Await(ctx, recovery.State.Ready); err != nil {
		t.Fatalf("%v: %+v", err, b.conn.State())
	}
	synctest.Wait()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func declare(t *testing.T, ch *Channel, m core.QueueDeclare) string {
	t.Helper()
	ok, err := ch.QueueDeclare(t.Context(), m)
	must(t, err)
	return ok.Queue
}

func consume(t *testing.T, ch *Channel, queue, tag string) *Consumer {
	t.Helper()
	c, err := ch.Consume(t.Context(), core.BasicConsume{Queue: queue, ConsumerTag: tag})
	must(t, err)
	return c
}

// send publishes a body to a queue and waits for the confirm.
func send(t *testing.T, ch *Channel, queue, body string) {
	t.Helper()
	c, err := ch.PublishConfirm(t.Context(), &core.Publishing{RoutingKey: queue, Body: []byte(body), Mandatory: true})
	must(t, err)
	v, err := c.Wait(t.Context())
	must(t, err)
	must(t, v.Err())
}

// receive returns the next delivery's body, acked.
func receive(t *testing.T, c *Consumer) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := c.Receive(ctx)
	must(t, err)
	must(t, d.Ack())
	return string(d.Body)
}

func tags(b *brokertest.Broker) string {
	var all []string
	for _, c := range b.Consumers() {
		all = append(all, c.Tag)
	}
	return strings.Join(all, " ")
}

func TestAFailingCallGetsItsErrorAndTheChannelGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 7}))
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		var returned []string
		ch.OnReturn(func(r *core.Return) { returned = append(returned, r.RoutingKey) })
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		c := consume(t, ch, q, "tag")

		begun := time.Now()
		_, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "q", Durable: false})
		if e, ok := errs.AsType[*core.Error](err); !ok || e.Code != core.ErrPreconditionFailed || e.Method != "queue.declare" {
			t.Errorf("error %v", err)
		}
		send(t, ch, "q", "one")
		if got := receive(t, c); got != "one" {
			t.Errorf("received %q", got)
		}
		confirm, err := ch.PublishConfirm(t.Context(), &core.Publishing{RoutingKey: "nowhere", Mandatory: true})
		must(t, err)
		if v, _ := confirm.Wait(t.Context()); v.Outcome != core.OutcomeReturned || fmt.Sprint(returned) != "[nowhere]" {
			t.Errorf("%v, returned %v", v.Outcome, returned)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("it took %s", took)
		}
		if got := b.Consumers(); len(got) != 1 || got[0].Tag != "tag" || got[0].Prefetch != 7 {
			t.Errorf("consumers %+v", got)
		}
		if e := b.journal.Last(t, recovery.EventChannelLost); !errors.Is(e.Err, core.ErrPreconditionFailed) || b.conn.State().Epoch != 1 {
			t.Errorf("event %v, epoch %d", e.Err, b.conn.State().Epoch)
		}
	})
}

func TestAChannelGoesOnOverALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "x", Type: "topic", Durable: true}))
		q := declare(t, ch, core.QueueDeclare{Exclusive: true})
		must(t, ch.QueueBind(t.Context(), core.QueueBind{Exchange: "x", RoutingKey: "k"}))
		c := consume(t, ch, "", "")
		tag := c.Tag()
		for i := range 10 {
			b.cut(t)
			b.ready(t) // else the exclusive queue is not there yet
			confirm, err := ch.PublishConfirm(t.Context(), &core.Publishing{Exchange: "x", RoutingKey: "k", Body: fmt.Append(nil, i), Mandatory: true})
			must(t, err)
			if v, err := confirm.Wait(t.Context()); err != nil || v.Outcome != core.OutcomeConfirmed {
				t.Errorf("verdict %v, %v", v.Outcome, err)
			}
			if got := receive(t, c); got != fmt.Sprint(i) {
				t.Errorf("received %q", got)
			}
			if got := b.Consumers(); len(got) != 1 || got[0].Tag != tag || got[0].Queue == q {
				t.Errorf("consumers %+v", got)
			}
			if _, err := ch.QueuePurge(t.Context(), core.QueuePurge{Queue: q}); err != nil {
				t.Errorf("the queue under its first name: %v", err)
			}
		}
		if n := b.recorder.Len(); n != 3 {
			t.Errorf("%d entities recorded; want 3", n)
		}
	})
}

func TestCallsWaitForTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		b.Stop()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := ch.Publish(ctx, &core.Publishing{RoutingKey: "q"})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "opened again after") {
			t.Errorf("publish: %v", err)
		}
		go func() { time.Sleep(time.Minute); b.Start() }()
		if _, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "q", Durable: true}); err != nil {
			t.Errorf("declare: %v", err)
		}
	})
}

// A connection refuses publishes a moment before its channels are dead.
func TestAPublishGoesOnOverADyingConnection(t *testing.T) {
	for name, end := range map[string]func(*bed){
		"closed by the broker": func(b *bed) { b.CloseConnections(320, "CONNECTION_FORCED") },
		"cut":                  func(b *bed) { b.Cut() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, session.Config{})
				ch := b.channel(t)
				for range 50 {
					go end(b)
					for range 200 {
						if err := ch.Publish(t.Context(), &core.Publishing{RoutingKey: "q"}); err != nil {
							t.Fatal(err)
						}
					}
					b.ready(t)
				}
			})
		})
	}
}

func TestConsumersAreIsolatedFromEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		other := b.channel(t)
		for i := range 6 {
			q := fmt.Sprintf("q%d", i)
			raw, err := awaitEpoch(t, b.conn, 1).Conn.Channel(t.Context())
			must(t, err)
			_, err = raw.QueueDeclare(t.Context(), core.QueueDeclare{Queue: q, Durable: true})
			must(t, err)
			consume(t, ch, q, q) // of a queue that is not recorded
		}
		b.Stop()
		b.DeleteQueue("q2")
		b.Start()
		time.Sleep(time.Minute)
		if got := tags(b.Broker); got != "q0 q1 q3 q4 q5" {
			t.Errorf("consumers %s; want all but q2", got)
		}
		s := b.conn.State()
		if s.Stage != recovery.StagePublishReady || len(s.Degraded) != 1 || !errors.Is(s.Degraded[0], core.ErrNotFound) || !strings.Contains(s.Degraded[0].Entity, "q2") {
			t.Errorf("state %+v", s)
		}
		_, err := other.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "q2", Durable: true})
		must(t, err)
		b.ready(t)
		if got := tags(b.Broker); got != "q0 q1 q2 q3 q4 q5" && got != "q0 q1 q3 q4 q5 q2" {
			t.Errorf("consumers %s; want all", got)
		}
	})
}

func TestASoftErrorDoesNotDoubleServerNamedQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		q := declare(t, ch, core.QueueDeclare{Exclusive: true})
		c := consume(t, ch, q, "tag")
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		b.CloseChannels(406, "PRECONDITION_FAILED - delivery acknowledgement timed out")
		b.ready(t)
		if queues := b.Queues(); len(queues) != 1 || queues[0].Name != q {
			t.Errorf("queues %+v; want only %s", queues, q)
		}
		send(t, ch, q, "m")
		if got := receive(t, c); got != "m" {
			t.Errorf("received %q", got)
		}
	})
}

func TestPrefetchInForceWhenAConsumerWasStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		want := map[string]int{}
		for i, prefetch := range []uint16{5, 5, 0, 9, 5} {
			q := declare(t, ch, core.QueueDeclare{Queue: fmt.Sprintf("q%d", i), Durable: true})
			must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: prefetch}))
			consume(t, ch, q, q)
			want[q] = int(prefetch)
		}
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 3}))
		for _, lose := range []func(){func() { b.cut(t) }, func() { b.CloseChannels(406, "x") }} {
			lose()
			b.ready(t)
			for _, c := range b.Consumers() {
				if int(c.Prefetch) != want[c.Tag] {
					t.Errorf("consumer %s has prefetch %d; want %d", c.Tag, c.Prefetch, want[c.Tag])
				}
			}
		}
		c := consume(t, ch, "q0", "new")
		for _, got := range b.Consumers() {
			if got.Tag == c.Tag() && got.Prefetch != 3 {
				t.Errorf("a new consumer has prefetch %d; want 3", got.Prefetch)
			}
		}
	})
}

// Each is told once for each recovery, however many physical channels it took.
func TestWhatIsBackIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		one, two := b.channel(t), b.channel(t)
		q := declare(t, one, core.QueueDeclare{Queue: "q", Durable: true})
		foreign(t, b, "theirs")
		a := consume(t, one, q, "a")
		consume(t, one, "theirs", "b")
		consume(t, one, q, "c")
		b.ready(t)
		told := func() string {
			t.Helper()
			b.ready(t)
			var all []string
			for _, e := range b.journal.All() {
				switch e.Kind {
				case recovery.EventChannelRestored:
					all = append(all, e.Entity)
				case recovery.EventConsumerRestored:
					all = append(all, e.Name)
				}
			}
			b.journal.Clear()
			slices.Sort(all)
			return strings.Join(all, ", ")
		}
		steps := []struct {
			what string
			lose func()
			want string
		}{
			{"the first time", func() {}, ""},
			{"a cut", func() { b.cut(t) }, "a, b, c, channel 1, channel 2"},
			{"another", func() { b.cut(t) }, "a, b, c, channel 1, channel 2"},
			{"a cut, and a consumer that costs the channel for a while", func() {
				b.cut(t)
				b.DeleteQueue("theirs")
				time.Sleep(time.Minute)
				foreign(t, b, "theirs")
			}, "a, b, c, channel 1, channel 2"},
			{"channels closed", func() { b.CloseChannels(406, "x") }, "a, b, c, channel 1, channel 2"},
			{"a consumer cancelled", func() { b.CancelConsumer("b") }, "b"},
			{"the application's doing", func() { must(t, a.Cancel(t.Context())); must(t, two.Close(t.Context())) }, ""},
			{"a third cut", func() { b.cut(t) }, "b, c, channel 1"},
		}
		for _, step := range steps {
			step.lose()
			if got := told(); got != step.want {
				t.Errorf("%s: %s; want %s", step.what, got, step.want)
			}
		}
	})
}
