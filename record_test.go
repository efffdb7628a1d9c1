package warren_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/compare"
)

func TestRecordModes(t *testing.T) {
	mine := warren.Topology{
		Exchanges: []warren.Exchange{{Name: "x"}, {Name: "once", NoReplay: true}},
		Queues:    []warren.Queue{{Name: "kept"}, {Name: "mine", Exclusive: true}, {Name: "excluded", Exclusive: true}, {Name: "other", Exclusive: true, NoReplay: true}},
		Bindings:  []warren.Binding{{Source: "x", Destination: "kept"}, {Source: "x", Destination: "mine"}, {Source: "x", Destination: "excluded"}},
	}
	for _, test := range []struct {
		mode       topology.RecordMode
		recorded   int
		back, gone string
	}{
		{topology.RecordModeAll, 7, "kept mine", "excluded other"},
		{topology.RecordModeTransient, 3, "kept mine", "excluded other"},
		{topology.RecordModeOff, 0, "kept", "mine excluded other"},
	} {
		inBubble(t, func(e *env) {
			client := e.dial(warren.WithRecordMode(test.mode))
			e.declare(client, mine)
			client.Forget(warren.Topology{Queues: []warren.Queue{{Name: "excluded"}}})
			s, topo := client.RecordStats(), client.Topology()
			if n := s.Exchanges + s.Queues + s.Bindings; n != test.recorded {
				t.Errorf("mode %d: %d entities recorded; want %d", test.mode, n, test.recorded)
			}
			if s.Queues != len(topo.Queues) || s.Bindings != len(topo.Bindings) {
				t.Errorf("mode %d: stats %+v, topology %+v", test.mode, s, topo)
			}
			client.Reconnect(nil)
			synctest.Wait()
			if err := client.AwaitReady(e.ctx); err != nil || client.State().Epoch != 2 {
				t.Fatalf("mode %d: %v, %+v", test.mode, err, client.State())
			}
			for name := range strings.FieldsSeq(test.back) {
				if _, ok := e.broker.Queue(name); !ok {
					t.Errorf("mode %d: %s is not back", test.mode, name)
				}
			}
			for name := range strings.FieldsSeq(test.gone) {
				if _, ok := e.broker.Queue(name); ok {
					t.Errorf("mode %d: %s is back", test.mode, name)
				}
			}
			e.close(client)
		})
	}
}

// TestWithTopology: what is given to the client is on the first connection and on each after it.
func TestWithTopology(t *testing.T) {
	inBubble(t, func(e *env) {
		var warned atomic.Int32
		client := e.dial(
			warren.WithTopology(warren.Topology{Exchanges: []warren.Exchange{{Name: "x"}}}),
			warren.WithTopology(warren.Topology{
				Queues:   []warren.Queue{{Name: "q", Exclusive: true}, {Name: "lazy", Arguments: warren.Table{"x-queue-mode": "lazy"}}},
				Bindings: []warren.Binding{{Source: "x", Destination: "q"}},
			}),
			warren.WithListener(func(ev warren.Event) {
				if ev.Kind == recovery.EventWarning {
					warned.Add(1)
				}
			}))
		for range 2 {
			if err := client.AwaitReady(e.ctx); err != nil {
				t.Fatal(err)
			}
			if routed, err := e.broker.Publish("x", "", wire.Properties{}, nil); err != nil || !routed {
				t.Errorf("routed %t, error %v", routed, err)
			}
			client.Reconnect(nil)
			synctest.Wait()
		}
		if n := warned.Load(); n != 1 {
			t.Errorf("%d warnings", n)
		}
		if s := client.RecordStats(); s != (topology.RecordStats{Exchanges: 1, Queues: 2, Bindings: 1, Limit: topology.DefaultRecordLimit}) {
			t.Errorf("%+v", s)
		}
		e.close(client)
	})
}

// TestWithTopologyBeforeTheBrokerIsUp: what is published meanwhile finds its queue.
func TestWithTopologyBeforeTheBrokerIsUp(t *testing.T) {
	inBubble(t, func(e *env) {
		e.broker.Stop()
		client, err := warren.New(url, warren.WithTopology(warren.Topology{Queues: []warren.Queue{{Name: "q"}}}), e.overMemory())
		if err != nil {
			t.Fatal(err)
		}
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, e.broker.Start)
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
			t.Error(err)
		}
		if n := len(e.broker.Messages("q")); n != 1 {
			t.Errorf("%d messages", n)
		}
		e.close(client)
	})
}

// TestWithTopologyThatIsRefused: the client works without it, and says so.
func TestWithTopologyThatIsRefused(t *testing.T) {
	inBubble(t, func(e *env) {
		declared := e.dial()
		e.declare(declared, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		client := e.dial(warren.WithTopology(warren.Topology{Queues: []warren.Queue{{Name: "q", Arguments: warren.Table{"x-max-length": 1}}, {Name: "p"}}}))
		if s := client.State(); s.Ready() || len(s.Degraded) != 1 || !errors.Is(s.Degraded[0], core.ErrPreconditionFailed) {
			t.Errorf("%+v", s)
		}
		if _, ok := e.broker.Queue("p"); !ok {
			t.Error("the other queue is not there")
		}
		client.Forget(warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		if s := client.State(); !s.Ready() {
			t.Errorf("forgotten, and %+v", s)
		}
		e.close(client)
		e.close(declared)
	})
}

func TestRecordOptionsRefuseNonsense(t *testing.T) {
	queues := func(q ...warren.Queue) warren.Option { return warren.WithTopology(warren.Topology{Queues: q}) }
	for want, opts := range map[string][]warren.Option{
		"record mode 7 is unknown":            {warren.WithRecordMode(7)},
		"record limit is negative":            {warren.WithRecordLimit(-1)},
		"needs RecordModeAll":                 {warren.WithRecordMode(topology.RecordModeTransient), queues(warren.Queue{Name: "q"})},
		"server-named queue":                  {queues(warren.Queue{Exclusive: true})},
		"needs the name of the queue":         {warren.WithTopology(warren.Topology{Bindings: []warren.Binding{{Source: "amq.topic"}}})},
		"NoReplay":                            {queues(warren.Queue{Name: "q", NoReplay: true})},
		"is declared twice, differently":      {queues(warren.Queue{Name: "q"}), queues(warren.Queue{Name: "q", Exclusive: true})},
		"x-max-length must be a whole number": {queues(warren.Queue{Name: "q"}.With(topology.Argument("x-max-length", "1")))},
		topology.ErrFull.Error():              {warren.WithRecordLimit(1), queues(warren.Queue{Name: "p"}, warren.Queue{Name: "q"})},
	} {
		inBubble(t, func(e *env) {
			_, err := warren.Dial(e.ctx, url, append(opts, e.overMemory())...)
			if !isValidation(err) || !strings.Contains(err.Error(), want) || e.dialled() != 0 {
				t.Errorf("%s: %v after %d attempts", want, err, e.dialled())
			}
		})
	}
}

// TestQueueName: the broker chooses another name on each connection, and each is still known.
func TestQueueName(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		first := e.declare(client, warren.Topology{Queues: []warren.Queue{{Exclusive: true}}}).Queues[0]
		client.Reconnect(nil)
		synctest.Wait()
		if err := client.AwaitReady(e.ctx); err != nil {
			t.Fatal(err)
		}
		now := client.Topology().Queues[0].Name
		if now == first || client.QueueName(first) != now || client.QueueName(now) != now || client.QueueName("other") != "other" {
			t.Errorf("%q is now %q, by the topology %q", first, client.QueueName(first), now)
		}
		e.close(client)
	})
}

func TestHealth(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		if h := client.Health().Connections; len(h) != 1 || !h[0].Live || !h[0].Ready || h[0].Connection != "main" || h[0].Err() != nil {
			t.Errorf("%+v", h)
		}
		if h := client.Health(); !h.Live || !h.Ready || h.Err() != nil || h.State.Stage != warren.StageConsumeReady {
			t.Errorf("%+v", h)
		}
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}}) // which the main connection is to keep
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "nowhere"}); !errors.Is(err, core.ErrReturned) {
			t.Error(err)
		}
		e.broker.Stop()
		synctest.Wait()
		for i, name := range []string{"main", "publish"} {
			if h := client.Health().Connections; len(h) != 2 || h[i].Connection != name || !h[i].Live || h[i].Ready || h[i].Err() == nil {
				t.Errorf("%+v in an outage", h)
			}
		}
		if h := client.Health(); !h.Live || h.Ready || h.Err() == nil || h.State.Stage != warren.StageConnecting {
			t.Errorf("%+v in an outage", h)
		}
		e.close(client)
		if h := client.Health(); h.Live || h.Ready || !errors.Is(h.Err(), core.ErrClosed) {
			t.Errorf("%+v after close", h)
		}
		for _, h := range client.Health().Connections {
			if h.Live || h.Ready {
				t.Errorf("%+v after close", h)
			}
		}
	})
}

func TestCompare(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "a"}, {Name: "b"}}})
		plan, err := client.Compare(e.ctx, warren.Topology{Queues: []warren.Queue{
			{Name: "a"}, {Name: "b", Arguments: warren.Table{"x-max-length": 1}}, {Name: "c"},
		}}, compare.Probe())
		if err != nil {
			t.Fatal(err)
		}
		var got []compare.Action
		for _, c := range plan.Changes {
			got = append(got, c.Action)
		}
		if len(got) != 3 || got[0] != compare.ActionAdopt || got[1] != compare.ActionDiffers || got[2] != compare.ActionCreate {
			t.Errorf("%v", plan)
		}
		if _, ok := e.broker.Queue("c"); ok || len(client.Topology().Queues) != 2 {
			t.Error("it has declared something")
		}
		e.close(client)
		if _, err := client.Compare(e.ctx, warren.Topology{}); !errors.Is(err, core.ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	})
}
