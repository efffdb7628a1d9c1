package channel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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
	"github.com/warren-mq/warren/topology"
)

// transacting returns a channel in transaction mode, and a message to the queue q.
func transacting(t *testing.T) (*bed, *Channel, *core.Publishing) {
	t.Helper()
	b := newBed(t, session.Config{})
	ch := b.channel(t)
	q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
	must(t, ch.TxSelect(t.Context()))
	return b, ch, &core.Publishing{RoutingKey: q, Body: []byte("one")}
}

func TestATransactionEndsWithItsChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, ch, one := transacting(t)
		must(t, ch.Publish(t.Context(), one))
		must(t, ch.TxCommit(t.Context()))
		must(t, ch.Publish(t.Context(), one))
		b.cut(t)
		b.ready(t)
		if err := ch.Publish(t.Context(), one); !errors.Is(err, ErrTxLost) {
			t.Errorf("the second half of a transaction: %v", err)
		}
		if err := ch.TxCommit(t.Context()); !errors.Is(err, ErrTxLost) {
			t.Errorf("commit: %v", err)
		}
		must(t, ch.Publish(t.Context(), one)) // a new one, still in tx mode
		if got, _ := b.Queue("q"); got.Ready != 1 {
			t.Errorf("%d messages before the commit; want 1", got.Ready)
		}
		must(t, ch.TxCommit(t.Context()))
		if got, _ := b.Queue("q"); got.Ready != 2 {
			t.Errorf("%d messages; want 2", got.Ready)
		}
		must(t, ch.Publish(t.Context(), one))
		b.cut(t)
		must(t, ch.TxRollback(t.Context())) // it is rolled back already
		must(t, ch.Publish(t.Context(), one))
		must(t, ch.TxCommit(t.Context()))
	})
}

func TestACommitOverWhichTheChannelDiesIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, ch, one := transacting(t)
		fail := func() { // the end of the transaction is on the wire when the broker closes the channel
			must(t, ch.Publish(t.Context(), one))
			must(t, ch.Publish(t.Context(), &core.Publishing{Exchange: "missing"}))
		}
		fail()
		if err := ch.TxCommit(t.Context()); !errors.Is(err, ErrTxLost) || !errors.Is(err, core.ErrNotFound) {
			t.Errorf("commit: %v", err)
		}
		fail()
		must(t, ch.TxRollback(t.Context())) // it is
		must(t, ch.Publish(t.Context(), one))
		must(t, ch.TxCommit(t.Context()))
		if got, _ := b.Queue("q"); got.Ready != 1 {
			t.Errorf("%d messages; want 1", got.Ready)
		}
	})
}

// An ack is part of the transaction, though no publish has begun it.
func TestATransactionOfAcksEndsWithItsChannel(t *testing.T) {
	for _, end := range []string{"commit", "publish and commit", "rollback", "commit, rollback"} {
		t.Run(end, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, ch, one := transacting(t)
				must(t, ch.Publish(t.Context(), one))
				must(t, ch.TxCommit(t.Context()))
				for range 2 { // the second time the transaction begins where one was lost
					d, err := ch.Get(t.Context(), core.BasicGet{Queue: "q"})
					must(t, err)
					must(t, d.Ack())
					b.cut(t)
					b.ready(t)
					switch end {
					case "publish and commit":
						if err := ch.Publish(t.Context(), one); !errors.Is(err, ErrTxLost) {
							t.Errorf("publish: %v", err)
						}
						fallthrough
					case "commit", "commit, rollback":
						if err := ch.TxCommit(t.Context()); !errors.Is(err, ErrTxLost) {
							t.Errorf("commit: %v", err)
						}
					}
					if strings.HasSuffix(end, "rollback") {
						must(t, ch.TxRollback(t.Context()))
					}
				}
				d, err := ch.Get(t.Context(), core.BasicGet{Queue: "q"})
				must(t, err)
				must(t, d.Ack())
				must(t, ch.TxCommit(t.Context()))
				if got, _ := b.Queue("q"); got.Ready+got.Unacked != 0 {
					t.Errorf("queue %+v; want it empty", got)
				}
			})
		})
	}
}

// What follows a commit whose answer was lost is a transaction of its own.
func TestTheTransactionAfterALostCommitRunsOnTheNextChannel(t *testing.T) {
	for name, commits := range map[string]bool{"the first one": false, "a later one": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, ch, one := transacting(t)
				b.OnReceive(wire.MethodTxCommit, brokertest.Nth(1, brokertest.Cut))
				if err := ch.TxCommit(t.Context()); err == nil || errors.Is(err, ErrTxLost) {
					t.Errorf("commit: %v; want what was lost", err)
				}
				must(t, ch.Publish(t.Context(), one))
				if commits {
					must(t, ch.TxCommit(t.Context()))
				}
				b.cut(t)
				b.ready(t)
				if err := ch.Publish(t.Context(), one); !errors.Is(err, ErrTxLost) {
					t.Errorf("publish: %v", err)
				}
				if err := ch.TxCommit(t.Context()); !errors.Is(err, ErrTxLost) {
					t.Errorf("commit: %v", err)
				}
			})
		})
	}
}

// A channel that the broker closes while it is set up is told lost each time, and restored once.
func TestAChannelIsToldRestoredWhenItsModesAreInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, j := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 10}))
		const refusals = 3
		refused := 0 // of the server's only connection at a time
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			if _, ok := m.(*wire.BasicQos); !ok || refused == refusals {
				return false
			}
			refused++
			return p.Refuse(channel, m, core.ErrInternal, "INTERNAL_ERROR - not now")
		})
		a.Drop()
		time.Sleep(time.Minute)
		if lost, back := j.Of(recovery.EventChannelLost), j.Of(recovery.EventChannelRestored); len(lost) != refusals || len(back) != 1 {
			t.Errorf("told of %d losses and %d returns; want %d and one", len(lost), len(back), refusals)
		}
	})
}

func TestAModeAskedForWhileTheChannelIsReopenedIsInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 1}))
		// Confirm succeeds on a channel that dies in the same instant.
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			if _, ok := m.(*wire.ConfirmSelect); ok && p.Number == 1 {
				p.Answer(channel, m)
				_ = p.NC.CloseWrite()
				return true
			}
			return false
		})
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		confirm, err := ch.PublishConfirm(t.Context(), &core.Publishing{RoutingKey: "q"})
		must(t, err)
		if v, _ := confirm.Wait(t.Context()); v.Outcome != core.OutcomeConfirmed {
			confirm, err = ch.PublishConfirm(t.Context(), &core.Publishing{RoutingKey: "q"})
			must(t, err)
			if v, _ := confirm.Wait(t.Context()); v.Outcome != core.OutcomeConfirmed {
				t.Errorf("verdict %v", v.Outcome)
			}
		}
		if n := a.Count("confirm.select"); n != 2 {
			t.Errorf("confirm.select was sent %d times; want once on each channel", n)
		}
	})
}

func TestQosForTheWholeChannelIsDroppedWhereTheBrokerRefusesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, j := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 100, Global: true}))
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 10}))
		a.Received()
		a.Drop()
		synctest.Wait()
		_, err = ch.QueuePurge(t.Context(), core.QueuePurge{Queue: "q"})
		must(t, err)
		if got := a.Received(); !sessiontest.Equal(got, "basic.qos 100", "basic.qos 10", "queue.purge") {
			t.Errorf("sent %v", got)
		}
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool { // an upgraded broker
			q, ok := m.(*wire.BasicQos)
			return ok && q.Global && p.Refuse(channel, m, core.ErrNotImplemented, "NOT_IMPLEMENTED - global qos")
		})
		a.Drop()
		synctest.Wait()
		_, err = ch.QueuePurge(t.Context(), core.QueuePurge{Queue: "q"})
		must(t, err)
		if got := a.Received(); !sessiontest.Equal(got, "basic.qos 100", "basic.qos 10", "queue.purge") {
			t.Errorf("sent %v", got)
		}
		if lost, back := j.Of(recovery.EventChannelLost), j.Of(recovery.EventChannelRestored); len(lost) != 0 || len(back) != 2 {
			t.Errorf("told of %d losses and %d returns of the channel; want one return for each connection", len(lost), len(back))
		}
		if e := j.Last(t, recovery.EventQosDropped); !errors.Is(e.Err, core.ErrNotImplemented) || e.Entity != "channel 1" {
			t.Errorf("event %+v", e)
		}
	})
}

// Only the broker's refusal of basic.qos drops it, not whatever else closes the
// connection at that moment.
func TestQosForTheWholeChannelOutlivesAConnection(t *testing.T) {
	tests := []struct {
		name string
		end  func(p *sessiontest.Peer, m wire.Method) bool
		want []string // on the connection after
	}{
		{"an operator closes it", func(p *sessiontest.Peer, _ wire.Method) bool {
			p.Closing[0] = true
			p.Send(0, &wire.ConnectionClose{ReplyCode: 320, ReplyText: "CONNECTION_FORCED - rolling restart"})
			return true
		}, []string{"basic.qos 100", "basic.qos 10"}},
		{"it is closed over basic.qos", func(p *sessiontest.Peer, m wire.Method) bool {
			return p.Kill(m, core.ErrNotImplemented, "NOT_IMPLEMENTED - global qos")
		}, []string{"basic.qos 10"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				c, j := connected(t, session.Config{}, a.Endpoint())
				ch, err := Open(t.Context(), c)
				must(t, err)
				must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 100, Global: true}))
				must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 10}))
				a.On(func(p *sessiontest.Peer, _ uint16, m wire.Method) bool {
					q, ok := m.(*wire.BasicQos)
					if ok && q.Global && p.Number == 2 {
						a.Received()
						return test.end(p, m)
					}
					return false
				})
				a.Drop()
				awaitEpoch(t, c, 3)
				synctest.Wait()
				if got := a.Received(); !sessiontest.Equal(got, test.want...) {
					t.Errorf("sent %v; want %v", got, test.want)
				}
				if n := len(j.Of(recovery.EventQosDropped)); n != 2-len(test.want) {
					t.Errorf("%d events", n)
				}
			})
		})
	}
}

func TestACallIsRepeatedIfTheChannelDiedOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		must(t, ch.Publish(t.Context(), &core.Publishing{Exchange: "missing"}))
		// It is in flight when the broker closes the channel over the publish.
		if _, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "q", Durable: true}); err != nil {
			t.Errorf("declare: %v", err)
		}
		if _, ok := b.Queue("q"); !ok {
			t.Error("the queue was not declared")
		}
		if e := b.journal.Last(t, recovery.EventChannelLost); !errors.Is(e.Err, core.ErrNotFound) {
			t.Errorf("event %v", e.Err)
		}
	})
}

// Of calls of one kind that are made at once only the one that the broker refuses fails.
func TestACallIsRepeatedIfTheChannelDiedOfOneBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		refused := brokertest.Refuse(406, "PRECONDITION_FAILED - inequivalent arg")
		b.OnReceive(wire.MethodQueueDeclare, func(e brokertest.Event) brokertest.Action {
			if e.Method.(*wire.QueueDeclare).Queue == "bad" {
				return refused
			}
			return brokertest.Pass
		})
		var calls sync.WaitGroup
		b.Links()[0].Delay(time.Second) // all are sent before the first is looked at
		for _, name := range []string{"bad", "one", "two"} {
			calls.Go(func() {
				_, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: name, Durable: true})
				if refused := errors.Is(err, core.ErrPreconditionFailed); refused != (name == "bad") || !refused && err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			synctest.Wait()
		}
		calls.Wait()
	})
}

func TestTheEmptyQueueNameIsTheOneDeclaredLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		for what, err := range map[string]error{
			"bind":    ch.QueueBind(t.Context(), core.QueueBind{Exchange: "amq.direct"}),
			"unbind":  ch.QueueUnbind(t.Context(), core.QueueUnbind{Exchange: "amq.direct"}),
			"purge":   second(ch.QueuePurge(t.Context(), core.QueuePurge{})),
			"delete":  second(ch.QueueDelete(t.Context(), core.QueueDelete{})),
			"get":     second(ch.Get(t.Context(), core.BasicGet{})),
			"consume": second(ch.Consume(t.Context(), core.BasicConsume{})),
			"no-wait": second(ch.QueueDeclare(t.Context(), core.QueueDeclare{NoWait: true})),
		} {
			if _, ok := errs.AsType[*core.ValidationError](err); !ok {
				t.Errorf("%s before any declare: %v", what, err)
			}
		}
		first := declare(t, ch, core.QueueDeclare{Exclusive: true})
		must(t, ch.QueueBind(t.Context(), core.QueueBind{Exchange: "amq.direct"})) // the key is the name, too
		if got := b.recorder.Snapshot().Bindings; len(got) != 1 || got[0].Destination != first || got[0].RoutingKey != first {
			t.Errorf("recorded %+v", got)
		}
		b.cut(t)
		b.ready(t)
		must(t, ch.QueueBind(t.Context(), core.QueueBind{Exchange: "amq.direct", RoutingKey: "k"})) // on a new channel
		must(t, ch.QueueUnbind(t.Context(), core.QueueUnbind{Queue: first, Exchange: "amq.direct", RoutingKey: "k"}))
		if _, err := ch.Get(t.Context(), core.BasicGet{}); err != nil {
			t.Error(err)
		}
		if _, err := ch.QueueDelete(t.Context(), core.QueueDelete{}); err != nil {
			t.Error(err)
		}
		if n := b.recorder.Len(); n != 0 || len(b.Queues()) != 0 {
			t.Errorf("%d entities recorded, queues %v", n, b.Queues())
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestWhatIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		args := core.Table{"x-max-length": int32(5)}
		must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "in", Type: "topic", Durable: true, Internal: true}))
		must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "out", Type: "fanout", Durable: true}))
		must(t, ch.ExchangeBind(t.Context(), core.ExchangeBind{Source: "out", Destination: "in"}))
		declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true, Arguments: args})
		args["x-max-length"] = int32(6) // the caller's business
		must(t, ch.QueueBind(t.Context(), core.QueueBind{Exchange: "in", RoutingKey: "k"}))
		declare(t, ch, core.QueueDeclare{Queue: "q", Passive: true})
		must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "amq.topic", Passive: true}))
		if _, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "q", Durable: false}); err == nil {
			t.Error("no error")
		}
		got := b.recorder.Snapshot()
		want := topology.Topology{
			Exchanges: []topology.Exchange{{Name: "in", Type: "topic", Internal: true}, {Name: "out", Type: "fanout"}},
			Queues:    []topology.Queue{{Name: "q", Arguments: topology.Table{"x-max-length": int32(5)}}},
			Bindings: []topology.Binding{
				{Source: "out", Destination: "in", ToExchange: true}, {Source: "in", Destination: "q", RoutingKey: "k"},
			},
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("recorded %+v; want %+v", got, want)
		}
		b.Restart(0) // a new disk
		b.ready(t)
		if len(b.Bindings()) < 2 {
			t.Errorf("bindings %+v", b.Bindings())
		}
		must(t, ch.ExchangeUnbind(t.Context(), core.ExchangeUnbind{Source: "out", Destination: "in"}))
		must(t, ch.ExchangeDelete(t.Context(), core.ExchangeDelete{Exchange: "in"}))
		must(t, ch.ExchangeDelete(t.Context(), core.ExchangeDelete{Exchange: "out"}))
		if n := b.recorder.Len(); n != 1 {
			t.Errorf("%d entities recorded; want the queue", n)
		}
	})
}

func TestChannelCloseEndsInEveryState(t *testing.T) {
	tests := []struct {
		name  string
		reach func(t *testing.T, a *sessiontest.Server, ch *Channel)
	}{
		{"open", func(*testing.T, *sessiontest.Server, *Channel) {}},
		{"without a connection", func(_ *testing.T, a *sessiontest.Server, _ *Channel) { a.Stop() }},
		{"being opened", func(_ *testing.T, a *sessiontest.Server, _ *Channel) {
			a.On(func(p *sessiontest.Peer, _ uint16, m wire.Method) bool {
				_, ok := m.(*wire.ChannelOpen)
				return ok && p.Number == 2
			})
			a.Drop()
		}},
		{"being set up", func(_ *testing.T, a *sessiontest.Server, _ *Channel) {
			a.On(func(p *sessiontest.Peer, _ uint16, m wire.Method) bool {
				_, ok := m.(*wire.BasicQos)
				return ok && p.Number == 2
			})
			a.Drop()
		}},
		{"consumers being restored", func(_ *testing.T, a *sessiontest.Server, _ *Channel) {
			a.On(func(p *sessiontest.Peer, _ uint16, m wire.Method) bool {
				_, ok := m.(*wire.BasicConsume)
				return ok && p.Number == 2
			})
			a.Drop()
		}},
		{"slowed down", func(t *testing.T, a *sessiontest.Server, ch *Channel) {
			a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
				_, ok := m.(*wire.BasicPublish)
				return ok && p.Refuse(channel, m, core.ErrNotFound, "")
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			for ctx.Err() == nil {
				_ = ch.Publish(ctx, &core.Publishing{Exchange: "x"})
				synctest.Wait()
			}
		}},
		{"closed", func(t *testing.T, _ *sessiontest.Server, ch *Channel) { must(t, ch.Close(t.Context())) }},
		{"with its connection", func(t *testing.T, _ *sessiontest.Server, ch *Channel) { must(t, ch.conn.Close(t.Context())) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				c, _ := connected(t, session.Config{}, a.Endpoint())
				ch, err := Open(t.Context(), c)
				must(t, err)
				must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 1}))
				cons := consume(t, ch, "q", "tag")
				test.reach(t, a, ch)
				synctest.Wait()
				begun := time.Now()
				if err := ch.Close(t.Context()); err != nil {
					t.Errorf("close: %v", err)
				}
				if took := time.Since(begun); took > time.Second {
					t.Errorf("close took %s", took)
				}
				<-ch.Done()
				<-cons.Done()
				if err := ch.Publish(t.Context(), &core.Publishing{}); !errors.Is(err, core.ErrClosed) || !errors.Is(ch.Err(), core.ErrClosed) {
					t.Errorf("publish: %v", err)
				}
				if s := c.State(); len(s.Degraded) != 0 {
					t.Errorf("state %+v", s)
				}
			})
		})
	}
}

func TestAChannelThatCannotBeOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		a := sessiontest.NewServer(t, n, "a:1")
		endpoint := a.Endpoint()
		endpoint.ChannelMax = 1
		c, _ := connected(t, session.Config{}, endpoint)
		_, err := Open(t.Context(), c)
		must(t, err)
		if _, err := Open(t.Context(), c); !errors.Is(err, core.ErrChannelsExhausted) {
			t.Errorf("a second channel of one: %v", err)
		}
		down, _ := start(t, session.Config{}, sessiontest.At(n, "nowhere:1"))
		if _, err := Open(t.Context(), down); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("no server: %v", err)
		}
		must(t, c.Close(t.Context()))
		if _, err := Open(t.Context(), c); !errors.Is(err, core.ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	})
}

// What is asked for while the next physical channel is being set up is in force there, whatever it is, before
// anything can be published.
func TestAModeThatChangesDuringTheSetUpIsInForce(t *testing.T) {
	global := core.BasicQos{PrefetchCount: 200, Global: true}
	for name, tt := range map[string]struct {
		note func(*modes)
		want string
	}{
		"qos":                       {func(m *modes) { m.qos, m.hasQos = core.BasicQos{PrefetchCount: 20}, true }, "basic.qos 20"},
		"qos for the whole channel": {func(m *modes) { m.global, m.hasGlobal = global, true }, "basic.qos 200"},
		"confirm":                   {func(m *modes) { m.confirm = true }, "confirm.select"},
		"tx":                        {func(m *modes) { m.tx = true }, "tx.select"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				c, _ := connected(t, session.Config{}, a.Endpoint())
				ch, err := Open(t.Context(), c)
				must(t, err)
				must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 100, Global: true}))
				must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 10}))
				consume(t, ch, "q", "tag")
				var answer func() // for the consumer on the second connection
				settingUp := make(chan struct{})
				a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
					_, ok := m.(*wire.BasicConsume)
					if ok && p.Number == 2 {
						answer = func() { p.Answer(channel, m) }
						close(settingUp)
					}
					return ok && p.Number == 2
				})
				a.Received()
				must(t, ch.change(t.Context(), &wire.BasicQos{}, func(*core.Channel) error { // succeeds as the connection is lost
					a.Drop()
					<-settingUp
					return nil
				}, tt.note))
				answer()
				synctest.Wait()
				must(t, ch.Publish(t.Context(), &core.Publishing{RoutingKey: "k"}))
				synctest.Wait()
				got := a.Received()
				if !sessiontest.Equal(got, "basic.qos 100", "basic.qos 10", "basic.consume q tag", tt.want, "basic.publish k") {
					t.Errorf("sent %q, want %s in front of the publish", got, tt.want)
				}
			})
		})
	}
}

// A commit whose failure is noticed late, when the next physical channel is in use: what follows is one
// transaction on that, and its loss is told.
func TestACommitThatFailsLateEndsItsTransactionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, ch, one := transacting(t)
		must(t, ch.Publish(t.Context(), one))
		err := ch.endTx(t.Context(), &wire.TxCommit{}, func(physical *core.Channel) error {
			b.cut(t)
			b.ready(t)
			return physical.TxCommit(t.Context())
		}, ErrTxLost)
		if err == nil || errors.Is(err, ErrTxLost) {
			t.Errorf("commit: %v; want what was lost", err)
		}
		must(t, ch.Publish(t.Context(), one))
		b.cut(t)
		b.ready(t)
		if err := ch.TxCommit(t.Context()); !errors.Is(err, ErrTxLost) {
			t.Errorf("commit of what went with its channel: %v", err)
		}
	})
}

// Only what the broker is known not to have looked at is repeated.
func TestWhichCallsAreRepeated(t *testing.T) {
	with := func(change func(*core.Error)) error {
		e := &core.Error{Code: core.ErrNotFound, Scope: core.ScopeChannel, Server: true, Method: "basic.publish"}
		change(e)
		return e
	}
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"closed over another method":          {with(func(*core.Error) {}), true},
		"closed over this method":             {with(func(e *core.Error) { e.Method = "queue.declare" }), false},
		"closed, nobody knows over what":      {with(func(e *core.Error) { e.Method = "" }), false},
		"the connection was closed":           {with(func(e *core.Error) { e.Scope = core.ScopeConnection }), false},
		"a fault found on this side":          {with(func(e *core.Error) { e.Server = false }), false},
		"behind one of its kind":              {fmt.Errorf("%w: %w", core.ErrIgnored, with(func(e *core.Error) { e.Method = "queue.declare" })), true},
		"the connection was lost":             {core.ErrLost, false},
		"no answer":                           {core.ErrTimeout, false},
		"wrapped, closed over another method": {fmt.Errorf("so: %w", with(func(*core.Error) {})), true},
	} {
		if got := ignored(&wire.QueueDeclare{}, tt.err); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}

// Bindings that differ in their arguments are told apart when one is taken back.
func TestABindingIsForgottenWithItsArguments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		for _, name := range []string{"from", "to"} {
			must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: name, Type: "headers", Durable: true}))
		}
		declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		one, two := core.Table{"x-match": "all", "n": int32(1)}, core.Table{"x-match": "all", "n": int32(2)}
		for _, args := range []core.Table{one, two, nil} {
			must(t, ch.QueueBind(t.Context(), core.QueueBind{Queue: "q", Exchange: "from", RoutingKey: "k", Arguments: args}))
			must(t, ch.ExchangeBind(t.Context(), core.ExchangeBind{Destination: "to", Source: "from", RoutingKey: "k", Arguments: args}))
		}
		for _, args := range []core.Table{one, nil} {
			must(t, ch.QueueUnbind(t.Context(), core.QueueUnbind{Queue: "q", Exchange: "from", RoutingKey: "k", Arguments: args}))
			must(t, ch.ExchangeUnbind(t.Context(), core.ExchangeUnbind{Destination: "to", Source: "from", RoutingKey: "k", Arguments: args}))
		}
		got := b.recorder.Snapshot().Bindings
		want := []topology.Binding{
			{Source: "from", Destination: "q", RoutingKey: "k", Arguments: two}, {Source: "from", Destination: "to", ToExchange: true, RoutingKey: "k", Arguments: two},
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("recorded %+v\nwant %+v", got, want)
		}
	})
}

// Whatever a channel does goes out on the present physical one, and its answer comes back.
func TestCallsReachThePhysicalChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := connected(t, session.Config{}, a.Endpoint())
		ch, err := Open(t.Context(), c)
		must(t, err)
		var flow atomic.Bool
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			f, ok := m.(*wire.ChannelFlow)
			if ok {
				flow.Store(f.Active)
				p.Send(channel, &wire.ChannelFlowOk{Active: f.Active})
			}
			return ok
		})
		for range 2 { // and on the next one
			must(t, ch.Recover(t.Context(), core.BasicRecover{Requeue: true}))
			must(t, ch.RecoverAsync(t.Context(), core.BasicRecoverAsync{Requeue: true}))
			must(t, ch.Cancel(t.Context(), core.BasicCancel{ConsumerTag: "of another"}))
			for _, active := range []bool{true, false} {
				if is, err := ch.Flow(t.Context(), active); err != nil || is != active || flow.Load() != active {
					t.Errorf("flow %t: %t, %v", active, is, err)
				}
			}
			synctest.Wait()
			want := []string{"basic.recover", "basic.recover-async", "basic.cancel of another"}
			if got := a.Received(); !sessiontest.Equal(got, want...) {
				t.Errorf("sent %q, want %q", got, want)
			}
			a.Drop()
			synctest.Wait()
		}
	})
}
