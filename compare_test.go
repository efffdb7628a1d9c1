package warren_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/topology"
)

func TestCompareAndApply(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "there"}, {Name: "otherwise"}}})
		wanted := warren.Topology{
			Exchanges: []warren.Exchange{{Name: "x"}},
			Queues:    []warren.Queue{{Name: "there"}, {Name: "otherwise", AutoDelete: true}, {Name: "new"}},
			Bindings:  []warren.Binding{{Source: "x", Destination: "new"}},
		}
		actions := func(c *topology.Comparison, err error) (all []topology.Action) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			for _, change := range c.Changes {
				all = append(all, change.Action)
			}
			return all
		}
		want := []topology.Action{topology.Create, topology.Adopt, topology.Differs, topology.Create, topology.Create}
		if got := actions(client.Compare(e.ctx, wanted, topology.Probe())); !slices.Equal(got, want) {
			t.Errorf("compared: %v; want %v", got, want)
		}
		if n := len(e.broker.Queues()); n != 2 {
			t.Errorf("comparing has made %d queues", n-2)
		}
		if got := actions(client.Apply(e.ctx, wanted, topology.Probe())); !slices.Equal(got, want) {
			t.Errorf("applied: %v; want %v", got, want)
		}
		if q, b := len(e.broker.Queues()), len(e.broker.Bindings()); q != 3 || b != 1 {
			t.Errorf("%d queues, %d bindings", q, b)
		}
		if recorded := client.Topology(); len(recorded.Queues) != 2 || len(recorded.Exchanges) != 0 {
			t.Errorf("recorded %+v", recorded)
		}
		if _, err := client.Compare(e.ctx, warren.Topology{Exchanges: []warren.Exchange{{}}}); err == nil {
			t.Error("an invalid topology was compared")
		}
		e.close(client)
	})
}

func TestCompareGoesOnAfterALossAndApplyTells(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		wanted := warren.Topology{Exchanges: []warren.Exchange{{Name: "x"}}, Queues: []warren.Queue{{Name: "q"}}}
		e.broker.OnReceive(wire.MethodExchangeDeclare, brokertest.Nth(1, brokertest.Cut))
		c, err := client.Compare(e.ctx, wanted)
		if err != nil || c.Count(topology.Create) != 2 {
			t.Errorf("%v, %v", c, err)
		}
		time.Sleep(time.Minute)
		e.broker.OnReceive(wire.MethodQueueDeclare, func(ev brokertest.Event) brokertest.Action {
			if m, ok := ev.Method.(*wire.QueueDeclare); ok && !m.Passive && ev.N < 3 {
				return brokertest.Cut
			}
			return brokertest.Pass
		})
		c, err = client.Apply(e.ctx, wanted)
		if _, interrupted := errors.AsType[*topology.InterruptedError](err); !interrupted || c.Changes[0].Action != topology.Create {
			t.Errorf("%v, %v", c, err)
		}
		if c, err := client.Apply(e.ctx, wanted); err != nil || c.Changes[0].Action != topology.Adopt {
			t.Errorf("again: %v, %v", c, err)
		}
		e.close(client)
	})
}
