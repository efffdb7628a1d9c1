package compare_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/compare"
)

func dialTestBroker(t *testing.T, options ...brokertest.Option) (*core.Conn, *brokertest.Broker) {
	t.Helper()
	broker := brokertest.New(t, options...)
	conn, err := core.Dial(t.Context(), core.Config{DialContext: broker.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn, broker
}

// lines returns the changes, each in a line.
func lines(c *compare.Comparison) []string {
	var out []string
	for _, change := range c.Changes {
		out = append(out, change.String())
	}
	return out
}

// Short forms for the tables below.

func x(name string) topology.Exchange { return topology.Exchange{Name: name} }
func q(name string) topology.Queue    { return topology.Queue{Name: name} }

// names returns what is in t by its names for logs.
func names(t topology.Topology) []string {
	var all []string
	for e := range t.Entities() {
		all = append(all, e.String())
	}
	return all
}

// declareAll declares t, which must succeed.
func declareAll(t *testing.T, conn *core.Conn, all topology.Topology) {
	t.Helper()
	for _, p := range record.Plan(all) {
		results, err := record.Replay(t.Context(), conn, p.Steps)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Fatal(r.Entity, r.Err)
			}
		}
	}
}

// beforehand is on the broker already, and wanted is what is to be applied.
var (
	beforehand = topology.Topology{
		Exchanges: []topology.Exchange{
			{Name: "cmp.same", Type: topology.Topic},
			{Name: "cmp.other", Type: topology.Topic, Transient: true, Arguments: topology.Table{"alternate-exchange": "a'b"}},
		},
		Queues: []topology.Queue{
			topology.Queue{Name: "cmp.same"}.With(topology.MaxLength(5)),
			topology.Queue{Name: "cmp.other"}.With(topology.MaxLength(5), topology.DeadLetter("dlx"), topology.SingleActiveConsumer(),
				topology.Argument("x-own", 1)),
			topology.Queue{Name: "cmp.extra"},
		},
		Bindings: []topology.Binding{{Source: "cmp.same", Destination: "cmp.same", RoutingKey: "k"}, {Source: "cmp.same", Destination: "cmp.extra"}},
	}
	wanted = topology.Topology{
		Exchanges: []topology.Exchange{
			{Name: "cmp.same", Type: topology.Topic},
			{Name: "cmp.other", Type: topology.Fanout},
			{Name: "cmp.new", Arguments: topology.Table{"x-own": 1}},
		},
		Queues: []topology.Queue{
			topology.Queue{Name: "cmp.same"}.With(topology.Argument("x-max-length", int16(5))),
			topology.Queue{Name: "cmp.other"}.With(topology.MaxLength(6), topology.MaxPriority(3), topology.Argument("x-own", 2)),
			{Name: "cmp.new"},
		},
		Bindings: []topology.Binding{
			{Source: "cmp.same", Destination: "cmp.same", RoutingKey: "k"},
			{Source: "cmp.same", Destination: "cmp.same", RoutingKey: "k", Arguments: topology.Table{"n": 1}},
			{Source: "cmp.new", Destination: "cmp.same"},
		},
	}
)

const (
	same, sameUnseen = `= adopt   %s`, `= adopt   %s (properties not seen)`
	exchangeDiffers  = `~ differs exchange "cmp.other": type is topic, want fanout; durable is false, want true; alternate-exchange is a'b, want none`
	queueDiffers     = `~ differs queue "cmp.other": `
)

// testCompare compares and applies over AMQP alone.
func testCompare(t *testing.T, conn *core.Conn) {
	declareAll(t, conn, beforehand)
	bindings := []string{
		`? ensure  binding of queue "cmp.same" to "cmp.same" with key "k"`,
		`? ensure  binding of queue "cmp.same" to "cmp.same" with key "k"`,
	}
	look := slices.Concat([]string{
		fmt.Sprintf(sameUnseen, `exchange "cmp.same"`), fmt.Sprintf(sameUnseen, `exchange "cmp.other"`), `+ create  exchange "cmp.new"`,
		fmt.Sprintf(sameUnseen, `queue "cmp.same"`), fmt.Sprintf(sameUnseen, `queue "cmp.other"`), `+ create  queue "cmp.new"`,
	}, bindings, []string{`+ create  binding of queue "cmp.same" to "cmp.new" with key ""`})
	for range 2 { // the first changes nothing
		c, err := compare.Compare(t.Context(), conn, wanted)
		if err != nil || !slices.Equal(lines(c), look) || c.Settled() {
			t.Errorf("comparison:\n%v\nerror %v", c, err)
		}
	}

	probed, err := compare.Compare(t.Context(), conn, wanted, compare.Probe())
	if err != nil || len(probed.Changes) != 9 {
		t.Fatalf("probe: %v, error %v", probed, err)
	}
	got := lines(probed)
	if got[0] != fmt.Sprintf(same, `exchange "cmp.same"`) || got[3] != fmt.Sprintf(same, `queue "cmp.same"`) || !sameDifferences(got[1], exchangeDiffers) {
		t.Errorf("probe:\n%s", probed)
	}
	for _, d := range []string{"x-max-length is 5, want 6", "x-dead-letter-exchange is dlx, want none", "x-single-active-consumer is true, want none",
		"x-max-priority is none, want 3"} {
		if !strings.HasPrefix(got[4], queueDiffers) || !strings.Contains(got[4], d) {
			t.Errorf("probe does not show %q: %s", d, got[4])
		}
	}
	if strings.Contains(got[4], "x-own") {
		t.Errorf("the broker compares what it does not know: %s", got[4])
	}

	applied, err := compare.Apply(t.Context(), conn, wanted)
	if !unsettled(err, 2) || applied.Count(compare.ActionCreate) != 3 || applied.Count(compare.ActionAdopt) != 2 || applied.Count(compare.ActionDiffers) != 2 ||
		applied.Count(compare.ActionEnsure) != 2 {
		t.Errorf("applied:\n%v\nerror %v", applied, err)
	}
	again, err := compare.Apply(t.Context(), conn, wanted)
	if !unsettled(err, 2) || !errors.Is(err, core.ErrPreconditionFailed) || again.Count(compare.ActionCreate) != 0 || again.Count(compare.ActionAdopt) != 4 || again.Count(compare.ActionDiffers) != 2 ||
		again.Count(compare.ActionEnsure) != 3 {
		t.Errorf("applied again:\n%v\nerror %v", again, err)
	}
	for _, change := range again.Changes {
		if change.Action == compare.ActionDiffers && (len(change.Differences) != 1 || !errors.Is(change.Err, core.ErrPreconditionFailed)) {
			t.Errorf("%+v", change)
		}
	}
}

// unsettled reports whether err tells of n entities that are not as wanted.
func unsettled(err error, n int) bool {
	e, ok := errs.AsType[*compare.UnsettledError](err)
	return ok && len(e.Changes) == n
}

// TestAnUnsettledErrorNamesWhatIsWrong, and does not fill a log.
func TestAnUnsettledErrorNamesWhatIsWrong(t *testing.T) {
	var want, have topology.Topology
	for i := range 5 {
		want.Queues = append(want.Queues, q("q").With(topology.MaxLength(1)))
		want.Queues[i].Name = fmt.Sprintf("q%d", i)
		have.Queues = append(have.Queues, topology.Queue{Name: want.Queues[i].Name})
	}
	want.Queues = append(want.Queues, q("new"))
	c, err := compare.Compare(t.Context(), nil, want, compare.With(inventory{has: have}))
	if err != nil {
		t.Fatal(err)
	}
	text := `topology: 5 of 6 entities are not as wanted: queue "q0" differs: x-max-length is none, want 1; ` +
		`queue "q1" differs: x-max-length is none, want 1; queue "q2" differs: x-max-length is none, want 1; and 2 more`
	if err := c.Err(); !unsettled(err, 5) || err.Error() != text {
		t.Errorf("%v", err)
	}
	c, err = compare.Compare(t.Context(), nil, topology.Topology{Queues: []topology.Queue{q("new")}}, compare.With(inventory{}))
	if err != nil || c.Err() != nil {
		t.Errorf("%v, %v", err, c.Err())
	}
}

// TestAges: RabbitMQ 4.3 takes the same time in another unit for the same and shows
// ages in milliseconds, earlier ones do neither.
func TestAges(t *testing.T) {
	stream := func(age string) topology.Queue {
		return topology.Queue{Name: "q", Type: topology.Stream}.With(topology.Argument("x-max-age", age))
	}
	for _, c := range []struct {
		version, want string
		action        compare.Action
		line          string
	}{
		{"4.3", "86400s", compare.ActionAdopt, `= adopt   queue "q"`},
		{"4.0", "86400s", compare.ActionDiffers, `~ differs queue "q": x-max-age is 1D, want 86400s (24h0m0s): the same, but RabbitMQ compares how it is written`},
		{"4.3", "2D", compare.ActionDiffers, `~ differs queue "q": x-max-age is 86400s (24h0m0s), want 172800s (48h0m0s)`},
		{"3.10", "2D", compare.ActionDiffers, `~ differs queue "q": x-max-age is 1D (24h0m0s), want 2D (48h0m0s)`},
	} {
		conn, _ := dialTestBroker(t, brokertest.WithVersion(c.version))
		declareAll(t, conn, topology.Topology{Queues: []topology.Queue{stream("1D").With(topology.MaxSegmentBytes(1000))}})
		want := topology.Topology{Queues: []topology.Queue{stream(c.want).With(topology.MaxSegmentBytes(1000))}}
		got, err := compare.Compare(t.Context(), conn, want, compare.Probe())
		if err != nil || got.Changes[0].Action != c.action || got.Changes[0].String() != c.line {
			t.Errorf("%s, %s: error %v\n%s", c.version, c.want, err, got)
		}
		want.Queues[0] = want.Queues[0].With(topology.MaxSegmentBytes(2000)) // a further difference is found behind the age
		got, err = compare.Compare(t.Context(), conn, want, compare.Probe())
		if err != nil || !strings.Contains(got.String(), "x-stream-max-segment-size-bytes is 1000, want 2000") {
			t.Errorf("%s, %s: error %v\n%s", c.version, c.want, err, got)
		}
	}
	have := topology.Topology{Queues: []topology.Queue{stream("1D")}}
	for age, action := range map[string]compare.Action{"86400s": compare.ActionAdopt, "24h": compare.ActionAdopt, "2D": compare.ActionDiffers} {
		got, err := compare.Compare(t.Context(), nil, topology.Topology{Queues: []topology.Queue{stream(age)}}, compare.With(inventory{has: have}))
		if err != nil || got.Changes[0].Action != action {
			t.Errorf("%s: error %v\n%s", age, err, got)
		}
	}
}

// sameDifferences compares lines whose differences may come in any order.
func sameDifferences(a, b string) bool {
	split := func(s string) []string {
		head, tail, _ := strings.Cut(s, "\": ")
		parts := strings.Split(tail, "; ")
		slices.Sort(parts)
		return append(parts, head)
	}
	return slices.Equal(split(a), split(b))
}

func TestCompareOverAMQP(t *testing.T) {
	conn, _ := dialTestBroker(t)
	testCompare(t, conn)
}

// inventory is one that is known beforehand.
type inventory struct {
	has topology.Topology
	err error
}

func (i inventory) Topology(context.Context) (topology.Topology, error) { return i.has, i.err }

func TestCompareWithAnInventory(t *testing.T) {
	has := beforehand.Clone()
	has.Exchanges = append(has.Exchanges, x(""), x("amq.topic"), x("cmp.extra"))
	has.Queues = append(has.Queues, topology.Queue{Name: "amq.gen-1", Exclusive: true}, topology.Queue{Name: "log", Type: topology.Stream})
	has.Bindings = append(has.Bindings,
		topology.Binding{Destination: "cmp.same"}, topology.Binding{Source: "cmp.same", Destination: "amq.gen-1"},
		topology.Binding{Source: "amq.topic", Destination: "amq.rabbitmq.trace", ToExchange: true})
	c, err := compare.Compare(t.Context(), nil, wanted, compare.With(inventory{has: has}))
	if err != nil {
		t.Fatal(err)
	}
	want := `= adopt   exchange "cmp.same"
~ differs exchange "cmp.other": type is topic, want fanout; durable is false, want true; alternate-exchange is a'b, want none
+ create  exchange "cmp.new"
= adopt   queue "cmp.same"
~ differs queue "cmp.other": x-dead-letter-exchange is dlx, want none; x-max-length is 5, want 6; x-max-priority is none, want 3; x-own is 1, want 2; x-single-active-consumer is true, want none
+ create  queue "cmp.new"
= adopt   binding of queue "cmp.same" to "cmp.same" with key "k"
+ create  binding of queue "cmp.same" to "cmp.same" with key "k"
+ create  binding of queue "cmp.same" to "cmp.new" with key ""
. extra   exchange "cmp.extra" (left as it is)
. extra   queue "cmp.extra" (left as it is)
. extra   queue "log" (left as it is)
. extra   binding of queue "cmp.extra" to "cmp.same" with key "" (left as it is)
4 to create, 3 to adopt, 0 to make sure of, 2 differ, 0 refused, 4 extra
`
	if got := c.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	settled, err := compare.Compare(t.Context(), nil, beforehand, compare.With(inventory{has: beforehand}))
	if err != nil || !settled.Settled() || settled.Count(compare.ActionAdopt) != 7 {
		t.Errorf("compared with itself, error %v:\n%s", err, settled)
	}
	if _, err := compare.Compare(t.Context(), nil, wanted, compare.With(inventory{err: core.ErrClosed})); !errors.Is(err, core.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

func TestQueueTypesInAnInventory(t *testing.T) {
	for _, c := range []struct {
		want, have string
		action     compare.Action
	}{
		{"", topology.Quorum, compare.ActionAdopt}, // it may be the default
		{topology.Classic, topology.Classic, compare.ActionAdopt},
		{topology.Quorum, topology.Classic, compare.ActionDiffers},
	} {
		want := topology.Topology{Queues: []topology.Queue{{Name: "q", Type: c.want}}}
		have := topology.Topology{Queues: []topology.Queue{{Name: "q", Type: c.have}}}
		got, err := compare.Compare(t.Context(), nil, want, compare.With(inventory{has: have}))
		if err != nil || got.Changes[0].Action != c.action {
			t.Errorf("%q and %q: %s, error %v", c.want, c.have, got.Changes[0], err)
		}
	}
}

func TestAConnectionIsNeededToAskOrToChange(t *testing.T) {
	there := compare.With(inventory{})
	for name, f := range map[string]func() (*compare.Comparison, error){
		"no inventory": func() (*compare.Comparison, error) { return compare.Compare(t.Context(), nil, topology.Topology{}) },
		"an inventory of none": func() (*compare.Comparison, error) {
			return compare.Compare(t.Context(), nil, topology.Topology{}, compare.With(nil))
		},
		"a probe": func() (*compare.Comparison, error) {
			return compare.Compare(t.Context(), nil, topology.Topology{}, there, compare.Probe())
		},
		"apply": func() (*compare.Comparison, error) {
			return compare.Apply(t.Context(), nil, topology.Topology{}, there)
		},
	} {
		c, err := f()
		if _, ok := errs.AsType[*core.ValidationError](err); !ok || c != nil {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	if _, err := compare.Compare(t.Context(), nil, topology.Topology{}, nil, there); err != nil {
		t.Error(err)
	}
}

func TestCompareRefusesWhatIsInvalid(t *testing.T) {
	wrong := topology.Topology{Queues: []topology.Queue{{Name: "amq.q"}}}
	if _, err := compare.Compare(t.Context(), nil, wrong); err == nil {
		t.Error("no error")
	}
	if _, err := compare.Apply(t.Context(), nil, wrong); err == nil {
		t.Error("no error")
	}
}

func TestApplyReportsRefusals(t *testing.T) {
	conn, _ := dialTestBroker(t)
	c, err := compare.Apply(t.Context(), conn, topology.Topology{
		Queues:   []topology.Queue{q("q"), {}},
		Bindings: []topology.Binding{{Source: "nowhere", Destination: "q"}, {Source: "amq.topic", Destination: "q"}},
	})
	if !unsettled(err, 1) || !errors.Is(err, core.ErrNotFound) {
		t.Fatal(err)
	}
	if c.Count(compare.ActionCreate) != 3 || c.Count(compare.ActionRefused) != 1 || c.Count(compare.ActionEnsure) != 0 {
		t.Errorf("applied:\n%s", c)
	}
	if refused := c.Changes[2]; !errors.Is(refused.Err, core.ErrNotFound) || c.Settled() {
		t.Errorf("%s", refused)
	}
}

// TestAnInterruptedApplyTellsWhatItReached: with several channels, of which one
// hangs, an outcome must be that of its own entity.
func TestAnInterruptedApplyTellsWhatItReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const queues = 64 // for four channels
		conn, broker := dialTestBroker(t)
		defer broker.Close()
		var all topology.Topology
		for i := range queues {
			all.Queues = append(all.Queues, q(fmt.Sprintf("q%d", i)))
		}
		declareAll(t, conn, all)
		var stuck atomic.Int32 // the channel
		broker.OnReceive(wire.MethodQueueDeclare, func(e brokertest.Event) brokertest.Action {
			m := e.Method.(*wire.QueueDeclare)
			if m.Queue == "q3" && !m.Passive {
				stuck.Store(int32(e.Channel))
			}
			switch {
			case int32(e.Channel) == stuck.Load():
				return brokertest.Swallow
			case m.Queue == "q20" && !m.Passive:
				return brokertest.Refuse(uint16(core.ErrPreconditionFailed), "it differs")
			}
			return brokertest.Pass
		})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, core.ErrTimeout)
		defer cancel()
		c, err := compare.Apply(ctx, conn, all)
		if _, ok := errs.AsType[*compare.InterruptedError](err); !ok || c == nil {
			t.Fatalf("%v, error %v", c, err)
		}
		for i, change := range c.Changes {
			want := compare.ActionAdopt
			if i == 20 {
				want = compare.ActionDiffers
			}
			reached := i < 3 || i >= queues/4
			if change.Action != want || change.Unseen == reached {
				t.Errorf("%s: want %s, reached %t", change, want, reached)
			}
		}
		_ = conn.Close(t.Context())
	})
}

// A queue that the broker is to name is a new one each time, whatever was declared before it.
func TestAServerNamedQueueIsNeverThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, broker := dialTestBroker(t)
		defer broker.Close()
		declareAll(t, conn, topology.Topology{Queues: []topology.Queue{{Name: "first"}, {Name: "last"}}})
		c, err := compare.Compare(t.Context(), conn, topology.Topology{Queues: []topology.Queue{{Name: "first"}, {Exclusive: true}, {Name: "last"}}})
		if err != nil {
			t.Fatal(err)
		}
		var got []compare.Action
		for _, change := range c.Changes {
			got = append(got, change.Action)
		}
		if want := []compare.Action{compare.ActionAdopt, compare.ActionCreate, compare.ActionAdopt}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		_ = conn.Close(t.Context())
	})
}

// However many properties differ, and of whatever kind, a probe finds each, with what the broker has.
func TestAProbeFindsEveryDifference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, broker := dialTestBroker(t)
		defer broker.Close()
		declareAll(t, conn, topology.Topology{
			Exchanges: []topology.Exchange{{Name: "x", Type: topology.Topic, Transient: true, AutoDelete: true, Internal: true}},
			Queues:    []topology.Queue{{Name: "q", AutoDelete: true, Transient: true, Arguments: topology.Table{"x-single-active-consumer": true, "x-expires": int32(60_000)}}},
		})
		c, err := compare.Compare(t.Context(), conn, topology.Topology{
			Exchanges: []topology.Exchange{{Name: "x", Type: topology.Direct}},
			Queues:    []topology.Queue{{Name: "q", Arguments: topology.Table{"x-single-active-consumer": false, "x-max-length": int64(7)}}},
		}, compare.Probe())
		if err != nil {
			t.Fatal(err)
		}
		want := [][]string{
			{"type is topic, want direct", "durable is false, want true", "auto_delete is true, want false", "internal is true, want false"},
			{"durable is false, want true", "auto_delete is true, want false", "x-single-active-consumer is true, want false", "x-expires is 60000 (1m0s), want none",
				"x-max-length is none, want 7"},
		}
		for i, change := range c.Changes {
			if change.Action != compare.ActionDiffers || len(change.Differences) != len(want[i]) {
				t.Errorf("%s: %d differences, want %d", change, len(change.Differences), len(want[i]))
			}
			for _, w := range want[i] {
				if !strings.Contains(change.String(), w) {
					t.Errorf("%s: want %q", change, w)
				}
			}
		}
		_ = conn.Close(t.Context())
	})
}

// TestAQueueThatIsHeldDiffers: an exclusive queue of another connection is there, otherwise than wanted.
func TestAQueueThatIsHeldDiffers(t *testing.T) {
	conn, broker := dialTestBroker(t)
	declareAll(t, conn, topology.Topology{Queues: []topology.Queue{{Name: "held", Exclusive: true}}})
	other, err := core.Dial(t.Context(), core.Config{DialContext: broker.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(t.Context()) }()
	for _, want := range []topology.Queue{{Name: "held", Exclusive: true}, {Name: "held"}} {
		all := topology.Topology{Queues: []topology.Queue{want}}
		c, err := compare.Compare(t.Context(), other, all, compare.Probe())
		if err != nil || c.Count(compare.ActionDiffers) != 1 {
			t.Errorf("%+v: error %v\n%s", want, err, c)
		}
		if c, err = compare.Apply(t.Context(), other, all); !unsettled(err, 1) || c.Count(compare.ActionDiffers) != 1 {
			t.Errorf("%+v, applied: error %v\n%s", want, err, c)
		}
	}
}

// TestUnreachable: what is dead-lettered to nowhere is lost, which RabbitMQ does not tell.
func TestUnreachable(t *testing.T) {
	conn, _ := dialTestBroker(t)
	there := topology.Topology{Exchanges: []topology.Exchange{x("there")}, Queues: []topology.Queue{q("parking")}}
	declareAll(t, conn, there)
	all := topology.Topology{Exchanges: []topology.Exchange{
		x("own"), x("ae").With(topology.AlternateExchange("nowhere")), x("fine").With(topology.AlternateExchange("own")),
	}}
	for i, args := range [][]topology.Arg{
		{topology.DeadLetter("nowhere")}, {topology.DeadLetter("own")}, {topology.DeadLetter("there")}, {topology.DeadLetter("amq.fanout")},
		{topology.DeadLetter("")}, {topology.DeadLetterRoutingKey("", "parking")}, {topology.DeadLetterRoutingKey("", "nowhere")},
		{topology.DeadLetterRoutingKey("", "q0")}, {topology.DeadLetterRoutingKey("there", "nowhere")},
	} {
		queue := q(fmt.Sprintf("q%d", i)).With(args...)
		all.Queues = append(all.Queues, queue)
	}
	want := []string{`exchange "ae": alternate-exchange`, `queue "q0": x-dead-letter-exchange`, `queue "q6": x-dead-letter-routing-key`}
	look := func(what string, warnings []*topology.Problem, err error) {
		t.Helper()
		var got []string
		for _, w := range warnings {
			got = append(got, fmt.Sprintf("%s: %s", w.Entity, w.Field))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: error %v\ngot  %q\nwant %q", what, err, got, want)
		}
	}
	warnings, err := compare.Unreachable(t.Context(), conn, all)
	look("on the broker", warnings, err)
	c, err := compare.Compare(t.Context(), conn, all)
	if err != nil {
		t.Fatal(err)
	}
	look("compared over AMQP", c.Warnings, nil)
	if c, err = compare.Compare(t.Context(), nil, all, compare.With(inventory{has: there})); err != nil {
		t.Fatal(err)
	}
	look("compared with an inventory", c.Warnings, nil)
	want = nil
	warnings, err = compare.Unreachable(t.Context(), nil, there) // whole by itself: nobody is asked
	look("whole", warnings, err)
}
