package warren_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/recovery"
)

func TestDeclareRefusesWhatIsInvalidBeforeItSendsAnything(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.broker.OnReceive(0, func(ev brokertest.Event) brokertest.Action {
			if !strings.HasPrefix(ev.Method.ID().String(), "connection.") {
				t.Errorf("sent %v", ev.Method)
			}
			return brokertest.Pass
		})
		for name, topo := range map[string]warren.Topology{
			"reserved name":           {Exchanges: []warren.Exchange{{Name: "fine"}, {Name: "amq.mine"}}},
			"no name":                 {Exchanges: []warren.Exchange{{}}},
			"long name":               {Queues: []warren.Queue{{Name: strings.Repeat("x", 256)}}},
			"default exchange":        {Bindings: []warren.Binding{{Destination: "q"}}},
			"binding of no queue":     {Bindings: []warren.Binding{{Source: "x"}}},
			"binding of which queue?": {Queues: []warren.Queue{{}, {}}, Bindings: []warren.Binding{{Source: "x"}}},
		} {
			if _, err := client.Declare(e.ctx, topo); !isValidation(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		e.close(client)
	})
}

// TestOneRefusedEntityStopsNoOther is part of promise P5.
func TestOneRefusedEntityStopsNoOther(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "taken"}}})
		d, err := client.Declare(e.ctx, warren.Topology{
			Exchanges: []warren.Exchange{{Name: "x"}, {Name: "bad", Type: "x-none"}},
			Queues:    []warren.Queue{{Name: "a"}, {Name: "taken", Arguments: warren.Table{"x-max-length": 1}}, {Exclusive: true}},
			Bindings: []warren.Binding{
				{Source: "x", Destination: "a"}, {Source: "none", Destination: "a"}, {Source: "x"},
			},
		})
		if !errors.Is(err, core.ErrPreconditionFailed) || !errors.Is(err, core.ErrNotFound) {
			t.Errorf("%v", err)
		}
		if d.Declared != 5 || len(d.Failed) != 3 {
			t.Errorf("%+v", d)
		}
		if len(d.Queues) != 3 || d.Queues[0] != "a" || d.Queues[1] != "" || !strings.HasPrefix(d.Queues[2], "amq.gen-") {
			t.Errorf("queues %q", d.Queues)
		}
		if n := len(e.broker.Bindings()); n != 2 {
			t.Errorf("%d bindings", n)
		}
		if topo := client.Topology(); len(topo.Queues) != 3 || len(topo.Exchanges) != 1 || len(topo.Bindings) != 2 {
			t.Errorf("recorded %+v", topo)
		}
		if !client.State().Ready() {
			t.Errorf("state %+v: what was refused at first is nobody's loss", client.State())
		}
		e.close(client)
	})
}

// TestDeclareNamesWhatMakesTheBrokerCloseTheConnection, as RabbitMQ 4.3 does
// over deprecated queues; also when it does not say over what, as when one of
// its processes has died.
func TestDeclareNamesWhatMakesTheBrokerCloseTheConnection(t *testing.T) {
	for name, refuse := range map[string]func(e *env, ev brokertest.Event) brokertest.Action{
		"named": func(*env, brokertest.Event) brokertest.Action {
			return brokertest.Refuse(541, "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated")
		},
		"unnamed": func(e *env, ev brokertest.Event) brokertest.Action {
			_, _ = e.broker.Inject(ev.Connection, 0, &wire.ConnectionClose{ReplyCode: 541, ReplyText: "INTERNAL_ERROR"}, wire.Properties{}, nil)
			return brokertest.Hang // it reads no more
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				client := e.dial()
				e.broker.OnReceive(wire.MethodQueueDeclare, func(ev brokertest.Event) brokertest.Action {
					if m, ok := ev.Method.(*wire.QueueDeclare); ok && !m.Durable && !m.Exclusive && !m.Passive {
						return refuse(e, ev)
					}
					return brokertest.Pass
				})
				queues := []warren.Queue{{Name: "a"}, {Name: "bad", Transient: true}, {Name: "b"}, {Name: "worse", Transient: true}}
				d, err := client.Declare(e.ctx, warren.Topology{Queues: queues})
				if !errors.Is(err, core.ErrInternal) || d.Declared != 2 || len(d.Failed) != 2 || d.Failed[0].Entity != `queue "bad"` {
					t.Errorf("%+v, %v", d, err)
				}
				if n := e.dialled(); n > 6 {
					t.Errorf("%d connections", n)
				}
				e.close(client)
			})
		})
	}
}

// TestDeclareSurvivesALossAtEachStep: with a queue whose name the broker
// chooses, which must not be left behind twice.
func TestDeclareSurvivesALossAtEachStep(t *testing.T) {
	for _, id := range []wire.MethodID{
		wire.MethodChannelOpen, wire.MethodExchangeDeclare, wire.MethodQueueDeclare, wire.MethodQueueBind, wire.MethodChannelClose,
	} {
		for n := 1; n <= 3; n++ {
			for _, way := range []string{"asked", "answered"} {
				t.Run(id.String()+" "+way, func(t *testing.T) {
					inBubble(t, func(e *env) {
						client := e.dial()
						if way == "asked" {
							e.broker.OnReceive(id, brokertest.Nth(n, brokertest.Cut))
						} else {
							e.broker.OnSend(id+1, brokertest.Nth(n, brokertest.Cut)) // the -ok
						}
						d := e.declare(client, warren.Topology{
							Exchanges: []warren.Exchange{{Name: "x"}, {Name: "y"}},
							Queues:    []warren.Queue{{Name: "a"}, {Exclusive: true}, {Name: "b"}},
							Bindings:  []warren.Binding{{Source: "x", Destination: "a"}, {Source: "y"}, {Source: "y", Destination: "b"}},
						})
						synctest.Wait()
						if err := client.AwaitReady(e.ctx); err != nil {
							t.Fatal(err)
						}
						if d.Declared != 8 || len(d.Failed) != 0 {
							t.Errorf("%+v", d)
						}
						queues := e.broker.Queues()
						if len(queues) != 3 || len(e.broker.Bindings()) != 3 {
							t.Errorf("the broker has queues %+v, bindings %+v", queues, e.broker.Bindings())
						}
						if _, ok := e.broker.Queue(d.Queues[1]); !ok {
							t.Errorf("there is no queue %q", d.Queues[1])
						}
						if topo := client.Topology(); len(topo.Queues) != 3 || len(topo.Bindings) != 3 || len(topo.Exchanges) != 2 {
							t.Errorf("recorded %+v", topo)
						}
						e.close(client)
					})
				})
			}
		}
	}
}

func TestDeclareWaitsForTheConnectionWithinItsContext(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.broker.Stop()
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(e.ctx, time.Minute, cause)
		defer cancel()
		begun := time.Now()
		if _, err := client.Declare(ctx, warren.Topology{Queues: []warren.Queue{{Name: "q"}}}); !errors.Is(err, cause) || time.Since(begun) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		time.AfterFunc(time.Minute, e.broker.Start)
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		e.close(client)
		if _, err := client.Declare(e.ctx, warren.Topology{Queues: []warren.Queue{{Name: "q"}}}); !errors.Is(err, core.ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	})
}

// TestTopologyComesBack is promise P4: what was declared through the client is
// declared again, what was deleted is not.
func TestTopologyComesBack(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{
			Exchanges: []warren.Exchange{{Name: "x"}, {Name: "gone"}},
			Queues:    []warren.Queue{{Name: "q"}, {Name: "gone"}},
			Bindings:  []warren.Binding{{Source: "x", Destination: "q", RoutingKey: "k"}},
		})
		ch, err := client.Channel(e.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ch.QueueDelete(e.ctx, core.QueueDelete{Queue: "gone"}); err != nil {
			t.Error(err)
		}
		if err := ch.ExchangeDelete(e.ctx, core.ExchangeDelete{Exchange: "gone"}); err != nil {
			t.Error(err)
		}
		if _, err := ch.QueueDeclare(e.ctx, core.QueueDeclare{Queue: "by hand", Durable: true}); err != nil {
			t.Error(err)
		}
		e.broker.Restart(brokertest.Forget)
		if err := client.AwaitReady(e.ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for name, want := range map[string]bool{"q": true, "by hand": true, "gone": false} {
			if _, ok := e.broker.Queue(name); ok != want {
				t.Errorf("queue %q: %t; want %t", name, ok, want)
			}
		}
		if n := len(e.broker.Bindings()); n != 1 {
			t.Errorf("%d bindings", n)
		}
		if err := ch.Close(e.ctx); err != nil {
			t.Error(err)
		}
		e.close(client)
	})
}

// The next connection can be restored before what was declared on the last one
// is recorded: here recording stands still meanwhile.
func TestWhatIsRecordedTooLateForTheNextConnectionComesBack(t *testing.T) {
	inBubble(t, func(e *env) {
		var client *warren.Client
		log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(io.Discard), zap.WarnLevel),
			zap.Hooks(func(entry zapcore.Entry) error {
				if entry.Message == recovery.EventNotRecorded.String() {
					e.broker.Cut()
					time.Sleep(time.Minute) // the next connection is restored
					client.Forget(warren.Topology{Queues: []warren.Queue{{Name: "old"}}})
				}
				return nil
			}))
		client = e.dial(warren.WithRecordLimit(2), warren.WithLogger(log))
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "old"}, {Name: "older"}}})
		d := e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "not recorded"}, {Name: "late", Exclusive: true}}})
		if d.Declared != 2 {
			t.Errorf("%+v", d)
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		if err := client.AwaitReady(e.ctx); err != nil {
			t.Fatal(err)
		}
		if _, ok := e.broker.Queue("late"); !ok {
			t.Error("the queue does not exist")
		}
		if n := e.dialled(); n != 2 {
			t.Errorf("%d connections", n)
		}
		e.close(client)
	})
}

// TestDeclaringAgainEndsTheQuarantine at once, and not at the next attempt, which may be an hour away.
func TestDeclaringAgainEndsTheQuarantine(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		all := warren.Topology{
			Exchanges: []warren.Exchange{{Name: "x"}}, Queues: []warren.Queue{{Name: "q"}}, Bindings: []warren.Binding{{Source: "x", Destination: "q"}},
		}
		e.declare(client, all)
		var hooks []*brokertest.Hook
		for _, id := range []wire.MethodID{wire.MethodExchangeDeclare, wire.MethodQueueDeclare, wire.MethodQueueBind} {
			hooks = append(hooks, e.broker.OnReceive(id, brokertest.Always(brokertest.Refuse(541, "INTERNAL_ERROR"))))
		}
		e.broker.Restart(brokertest.Forget)
		time.Sleep(20 * time.Minute)
		if s := client.State(); s.Ready() || len(s.Degraded) == 0 {
			t.Fatalf("state %+v", s)
		}
		for _, h := range hooks {
			h.Remove()
		}
		e.declare(client, all)
		synctest.Wait()
		if s := client.State(); !s.Ready() || len(s.Degraded) != 0 {
			t.Errorf("state %+v", s)
		}
		e.close(client)
	})
}
