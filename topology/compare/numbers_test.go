package compare_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/compare"
	"github.com/warren-mq/warren/topology/management"
)

// shown are arguments, and how RabbitMQ's management API shows each.
var shown = []struct{ is, seen any }{
	{5, int64(5)}, {int8(-5), int64(-5)}, {int16(5), int64(5)}, {int32(5), int64(5)}, {int64(5), int64(5)}, {int64(1) << 60, int64(1) << 60},
	{uint8(200), int64(200)}, {uint16(5), int64(5)}, {uint32(5), int64(5)}, {uint(5), int64(5)}, {uint64(5), int64(5)},
	{5.0, 5.0}, {float32(1.1), 1.100000023841858}, {1e22, 1e22}, {1e300, 1e300},
	{"5", "5"}, {[]byte("5"), "5"}, {"a\xff", "Not UTF-8, base64 is: Yf8="}, {[]byte{255, 0}, "Not UTF-8, base64 is: /wA="},
	{true, true}, {nil, "undefined"}, {time.Unix(7, 0), int64(7)}, {core.Decimal{Scale: 2, Value: 125}, 2.125},
	{[]string{"a"}, []any{"a"}}, {[]int{5}, []any{int64(5)}}, {map[string]string{"a": "b"}, topology.Table{"a": "b"}},
	{map[string]any{"a": uint8(5)}, topology.Table{"a": int64(5)}}, {[]any{float32(2), nil}, []any{2.0, "undefined"}},
	{topology.Table{}, topology.Table{}}, {[]any{}, []any{}},
}

// TestAnInventoryShowsLessThanThereIs: what an inventory shows of an argument is
// enough to know it again, whatever its type.
func TestAnInventoryShowsLessThanThereIs(t *testing.T) {
	for _, c := range shown {
		want, seen := argued(c.is), argued(c.seen)
		got, err := compare.Compare(t.Context(), nil, want, compare.With(inventory{has: seen}))
		if err != nil || got.Count(compare.ActionAdopt) != 3 || names(got.Extra) != nil {
			t.Errorf("%T %v is not known again, error %v:\n%s", c.is, c.is, err, got)
		}
	}
	for _, c := range []struct{ want, have any }{
		{5, 6}, {5, 5.0}, {5.0, 5}, {5, "5"}, {"5", 5}, {uint8(251), -5}, {int8(-5), 251}, {"true", true}, {[]any{1}, []any{2}},
		{topology.Table{"a": 1}, topology.Table{"a": 1.0}}, {int64(1) << 32, 0}, {1.5, 1.25}, {"", nil}, {core.Decimal{Value: 1}, core.Decimal{Value: 2}},
	} {
		got, err := compare.Compare(t.Context(), nil, argued(c.want), compare.With(inventory{has: argued(c.have)}))
		if err != nil || got.Count(compare.ActionDiffers) != 2 || got.Count(compare.ActionCreate) != 1 || len(got.Extra.Bindings) != 1 {
			t.Errorf("%T %v is taken for %T %v, error %v:\n%s", c.want, c.want, c.have, c.have, err, got)
		}
	}
}

// argued returns one of each entity with an argument.
func argued(v any) topology.Topology {
	args := topology.Table{"own": v}
	return topology.Topology{
		Exchanges: []topology.Exchange{{Name: "x", Type: topology.Headers, Arguments: args}},
		Queues:    []topology.Queue{{Name: "q", Arguments: args}},
		Bindings:  []topology.Binding{{Source: "x", Destination: "q", Arguments: args}},
	}
}

// TestApplyMakesNoSecondBinding: an inventory does not show widths, so a binding
// that it shows is not made again, perhaps under another width, as a second one.
func TestApplyMakesNoSecondBinding(t *testing.T) {
	conn, broker := dialTestBroker(t)
	declareAll(t, conn, argued(int32(5)))
	for _, read := range []any{int64(5), uint8(5)} {
		c, err := compare.Apply(t.Context(), conn, argued(read), compare.With(inventory{has: argued(int64(5))}))
		if err != nil || c.Count(compare.ActionAdopt) != 3 {
			t.Errorf("applied %T, error %v:\n%s", read, err, c)
		}
	}
	if n := len(broker.Bindings()); n != 1 {
		t.Errorf("%d bindings", n)
	}
}

// TestWidthsAreNoDifference: RabbitMQ takes the same queue declared with numbers of
// another width.
func TestWidthsAreNoDifference(t *testing.T) {
	conn, _ := dialTestBroker(t)
	for _, c := range []struct {
		first, second any
		valid         bool
	}{{5, int64(5), true}, {uint8(5), int16(5), true}, {5, 6, false}, {5, 5.0, false}} {
		both := argued(c.first)
		both.Queues = append(both.Queues, argued(c.second).Queues...)
		both.Exchanges = append(both.Exchanges, argued(c.second).Exchanges...)
		if err := both.Validate(); (err == nil) != c.valid {
			t.Errorf("%T %v and %T %v: %v", c.first, c.first, c.second, c.second, err)
		}
	}
	declareAll(t, conn, topology.Topology{Queues: []topology.Queue{q("q").With(topology.Argument("x-max-length", 5))}})
	c, err := compare.Compare(t.Context(), conn, topology.Topology{Queues: []topology.Queue{q("q").With(topology.Argument("x-max-length", uint16(5)))}}, compare.Probe())
	if err != nil || c.Count(compare.ActionAdopt) != 1 {
		t.Errorf("error %v:\n%s", err, c)
	}
}

// TestArgumentsOnRabbitMQ: on each version every kind of argument is shown as
// [shown] has it, and what is there is not made a second time.
func TestArgumentsOnRabbitMQ(t *testing.T) {
	for _, version := range dockertest.Versions() {
		t.Run(version, func(t *testing.T) {
			broker := dockertest.Run(t, version, docker.Options{Plugins: []string{"rabbitmq_management"}, Publish: []int{portManagement}})
			conn, api := dialRabbitMQ(t, broker), &management.Client{URL: managementURL(broker)}
			all, seen := topology.Table{}, topology.Table{}
			for i, c := range shown {
				key := fmt.Sprintf("own %02d", i)
				all[key], seen[key] = c.is, c.seen
			}
			want, is := withArguments(all), withArguments(seen)
			declareAll(t, conn, want)
			awaitListed(t, api)
			for _, wanted := range []topology.Topology{want, is} {
				c, err := compare.Apply(t.Context(), conn, wanted, compare.With(api))
				if err != nil || c.Count(compare.ActionAdopt) != 3 || names(c.Extra) != nil {
					t.Errorf("error %v:\n%s", err, c)
				}
			}
			has, err := api.Topology(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			bindings := 0
			for _, b := range has.Bindings {
				if b.Source == "x" {
					bindings++
				}
			}
			if bindings != 1 {
				t.Errorf("%d bindings", bindings)
			}
			t.Run("routing", func(t *testing.T) { testWidthsRouteAlike(t, conn) })
		})
	}
}

// awaitListed waits until the management API shows the queue: it lags behind.
func awaitListed(t *testing.T, api *management.Client) {
	t.Helper()
	for begin := time.Now(); ; {
		has, err := api.Topology(t.Context())
		if err != nil || time.Since(begin) > 30*time.Second {
			t.Fatalf("the queue is not listed: error %v", err)
		}
		if len(has.Queues) > 0 {
			return
		}
	}
}

func withArguments(args topology.Table) topology.Topology {
	t := argued(nil)
	t.Exchanges[0].Arguments, t.Queues[0].Arguments, t.Bindings[0].Arguments = args, args, args
	return t
}

// testWidthsRouteAlike: that an inventory shows no widths does no harm, since they
// change no route.
func testWidthsRouteAlike(t *testing.T, conn *core.Conn) {
	ch, err := conn.Channel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(t.Context(), core.ConfirmSelect{}); err != nil {
		t.Fatal(err)
	}
	numbers := []any{int8(5), uint8(5), int16(5), uint16(5), int32(5), uint32(5), int64(5)}
	for i, bound := range numbers {
		name := fmt.Sprintf("route %d", i)
		declareAll(t, conn, topology.Topology{
			Exchanges: []topology.Exchange{{Name: name, Type: topology.Headers}}, Queues: []topology.Queue{{Name: name}},
			Bindings: []topology.Binding{{Source: name, Destination: name, Arguments: topology.Table{"x-match": "all", "n": bound}}},
		})
		for _, sent := range numbers {
			c, err := ch.PublishConfirm(t.Context(), &core.Publishing{Exchange: name, Mandatory: true, Properties: core.Properties{Headers: topology.Table{"n": sent}}})
			if err != nil {
				t.Fatal(err)
			}
			if v, err := c.Wait(t.Context()); err != nil || v.Outcome != core.OutcomeConfirmed {
				t.Errorf("bound with %T, sent with %T: %v, error %v", bound, sent, v.Outcome, err)
			}
		}
	}
}
