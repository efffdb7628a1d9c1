package warren_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/compare"
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
		actions := func(c *compare.Comparison, err error) (all []compare.Action) {
			t.Helper()
			if _, unsettled := errs.AsType[*compare.UnsettledError](err); err != nil && !unsettled {
				t.Fatal(err)
			}
			for _, change := range c.Changes {
				all = append(all, change.Action)
			}
			return all
		}
		want := []compare.Action{compare.ActionCreate, compare.ActionAdopt, compare.ActionDiffers, compare.ActionCreate, compare.ActionCreate}
		if got := actions(client.Compare(e.ctx, wanted, compare.Probe())); !slices.Equal(got, want) {
			t.Errorf("compared: %v; want %v", got, want)
		}
		if n := len(e.broker.Queues()); n != 2 {
			t.Errorf("comparing has made %d queues", n-2)
		}
		if got := actions(client.Apply(e.ctx, wanted, compare.Probe())); !slices.Equal(got, want) {
			t.Errorf("applied: %v; want %v", got, want)
		}
		if _, err := client.Apply(e.ctx, wanted); !errors.Is(err, core.ErrPreconditionFailed) || !strings.Contains(err.Error(), `queue "otherwise" differs`) {
			t.Errorf("what differs was applied: %v", err)
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
		if err != nil || c.Count(compare.ActionCreate) != 2 {
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
		if _, interrupted := errs.AsType[*compare.InterruptedError](err); !interrupted || c.Changes[0].Action != compare.ActionCreate {
			t.Errorf("%v, %v", c, err)
		}
		if c, err := client.Apply(e.ctx, wanted); err != nil || c.Changes[0].Action != compare.ActionAdopt {
			t.Errorf("again: %v, %v", c, err)
		}
		e.close(client)
	})
}

// Nothing was applied while it was still compared: a loss then changes nothing.
func TestApplyBeginsAnewWhenItHasDoneNothing(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.broker.OnReceive(wire.MethodQueueDeclare, brokertest.Nth(1, brokertest.Cut))
		c, err := client.Apply(e.ctx, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		if err != nil || c.Count(compare.ActionCreate) != 1 || len(e.broker.Queues()) != 1 {
			t.Errorf("%v, %v", c, err)
		}
		e.close(client)
	})
}

// RabbitMQ closes the connection over an exchange of a type that it does not
// know: to compare it again would only end the next one.
func TestCompareEndsWithWhatMakesTheBrokerCloseTheConnection(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Exchanges: []warren.Exchange{{Name: "x"}}})
		e.broker.OnReceive(wire.MethodExchangeDeclare, func(ev brokertest.Event) brokertest.Action {
			if m, ok := ev.Method.(*wire.ExchangeDeclare); ok && m.Type == "x-unknown" && !m.Passive {
				return brokertest.Refuse(503, "COMMAND_INVALID - unknown exchange type 'x-unknown'")
			}
			return brokertest.Pass
		})
		ctx, cancel := context.WithTimeout(e.ctx, 10*time.Minute)
		defer cancel()
		wanted := warren.Topology{Exchanges: []warren.Exchange{{Name: "x", Type: "x-unknown"}}}
		for name, f := range map[string]func() (*compare.Comparison, error){
			"compare": func() (*compare.Comparison, error) { return client.Compare(ctx, wanted, compare.Probe()) },
			"apply":   func() (*compare.Comparison, error) { return client.Apply(ctx, wanted, compare.Probe()) },
		} {
			e.resetDials()
			c, err := f()
			interrupted, ok := errs.AsType[*compare.InterruptedError](err)
			if !ok || c != nil || !errors.Is(err, core.ErrCommandInvalid) || len(interrupted.Suspects) != 1 {
				t.Errorf("%s: %v, %v", name, c, err)
			}
			time.Sleep(time.Minute)
			if n := len(e.resetDials()); n != 1 {
				t.Errorf("%s: %d new connections", name, n)
			}
		}
		e.close(client)
	})
}

// Whoever declares, compares or applies learns what should not be relied on.
func TestResultsWarn(t *testing.T) {
	inBubble(t, func(e *env) {
		var told []warren.Event
		client := e.dial(warren.WithListener(func(ev warren.Event) {
			if ev.Kind == recovery.EventWarning {
				told = append(told, ev)
			}
		}))
		doubtful := warren.Topology{Queues: []warren.Queue{{Name: "fine"}, {Name: "q", Transient: true}, {Name: "lazy", Arguments: warren.Table{"x-queue-mode": "lazy"}}}}
		d := e.declare(client, doubtful)
		results := map[string][]*topology.Problem{"declare": d.Warnings}
		c, err := client.Compare(e.ctx, doubtful)
		if err != nil || !strings.Contains(c.String(), "\n* warning queue \"lazy\": x-queue-mode does nothing any more\n") {
			t.Fatalf("%v, %v", c, err)
		}
		results["compare"] = c.Warnings
		if c, err = client.Apply(e.ctx, doubtful); err != nil {
			t.Fatal(err)
		}
		results["apply"] = c.Warnings
		for what, warnings := range results {
			if len(warnings) != 2 || warnings[0].Field != "Transient" || warnings[1].Field != "x-queue-mode" {
				t.Errorf("%s: %v", what, warnings)
			}
		}
		if d := e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "fine"}}}); len(d.Warnings) != 0 {
			t.Errorf("%v", d.Warnings)
		}
		nowhere := warren.Topology{Queues: []warren.Queue{
			warren.Queue{Name: "dead"}.With(topology.DeadLetter("nowhere")), warren.Queue{Name: "slip"}.With(topology.Argument("x-mesage-ttl", 1)),
		}}
		if d := e.declare(client, nowhere); len(d.Warnings) != 2 || d.Declared != 2 || d.Warnings[0].Field != "x-mesage-ttl" || d.Warnings[1].Field != "x-dead-letter-exchange" {
			t.Errorf("%v", d.Warnings)
		}
		synctest.Wait()
		if len(told) != 2 || told[1].Count != 2 || !strings.Contains(told[1].Err.Error(), "x-message-ttl?") {
			t.Errorf("told %v; want one event for each declaration with warnings", told)
		}
		e.close(client)
	})
}
