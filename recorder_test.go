package warren_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/compare"
)

func TestTheRecorderCanBeChosen(t *testing.T) {
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
			r := record.NewRecorder(record.WithMode(test.mode))
			client := e.dial(warren.WithRecorder(r))
			e.declare(client, mine)
			r.Forget(warren.Topology{Queues: []warren.Queue{{Name: "excluded"}}})
			if n := r.Len(); n != test.recorded {
				t.Errorf("mode %d: %d entities recorded; want %d", test.mode, n, test.recorded)
			}
			if s, topo := r.Stats(), client.Topology(); s.Queues != len(topo.Queues) || s.Bindings != len(topo.Bindings) {
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

func TestHealth(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		if h := client.Health(); len(h) != 1 || !h[0].Live || !h[0].Ready || h[0].Connection != "main" || h[0].Err() != nil {
			t.Errorf("%+v", h)
		}
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}}) // which the main connection is to keep
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Publish(e.ctx, warren.Message{Key: "nowhere"}); !errors.Is(err, core.ErrReturned) {
			t.Error(err)
		}
		e.broker.Stop()
		synctest.Wait()
		for i, name := range []string{"main", "publish"} {
			if h := client.Health(); len(h) != 2 || h[i].Connection != name || !h[i].Live || h[i].Ready || h[i].Err() == nil {
				t.Errorf("%+v in an outage", h)
			}
		}
		e.close(client)
		for _, h := range client.Health() {
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
			{Name: "a"}, {Name: "b", Args: warren.Table{"x-max-length": 1}}, {Name: "c"},
		}}, compare.Probe())
		if err != nil {
			t.Fatal(err)
		}
		var got []compare.Action
		for _, c := range plan.Changes {
			got = append(got, c.Action)
		}
		if len(got) != 3 || got[0] != compare.Adopt || got[1] != compare.Differs || got[2] != compare.Create {
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
