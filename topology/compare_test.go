package topology_test

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
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/topology"
)

func dialTestBroker(t *testing.T) (*core.Conn, *brokertest.Broker) {
	t.Helper()
	broker := brokertest.New(t)
	conn, err := core.Dial(t.Context(), core.Config{DialContext: broker.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn, broker
}

// lines returns the changes, each in a line.
func lines(c *topology.Comparison) []string {
	var out []string
	for _, change := range c.Changes {
		out = append(out, change.String())
	}
	return out
}

// declareAll declares t, which must succeed.
func declareAll(t *testing.T, conn *core.Conn, all topology.Topology) {
	t.Helper()
	for _, p := range all.Plan() {
		results, err := topology.Replay(t.Context(), conn, p.Steps)
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
			{Name: "cmp.same", Kind: topology.Topic},
			{Name: "cmp.other", Kind: topology.Topic, Transient: true, Args: topology.Table{"alternate-exchange": "a'b"}},
		},
		Queues: []topology.Queue{
			topology.Queue{Name: "cmp.same"}.With(topology.MaxLength(5)),
			topology.Queue{Name: "cmp.other"}.With(topology.MaxLength(5), topology.DeadLetter("dlx"), topology.SingleActiveConsumer(),
				topology.Argument("x-own", 1)),
			topology.Queue{Name: "cmp.extra"},
		},
		Bindings: []topology.Binding{{Source: "cmp.same", Destination: "cmp.same", Key: "k"}, {Source: "cmp.same", Destination: "cmp.extra"}},
	}
	wanted = topology.Topology{
		Exchanges: []topology.Exchange{
			{Name: "cmp.same", Kind: topology.Topic},
			{Name: "cmp.other", Kind: topology.Fanout},
			{Name: "cmp.new", Args: topology.Table{"x-own": 1}},
		},
		Queues: []topology.Queue{
			topology.Queue{Name: "cmp.same"}.With(topology.Argument("x-max-length", int16(5))),
			topology.Queue{Name: "cmp.other"}.With(topology.MaxLength(6), topology.MaxPriority(3), topology.Argument("x-own", 2)),
			{Name: "cmp.new"},
		},
		Bindings: []topology.Binding{
			{Source: "cmp.same", Destination: "cmp.same", Key: "k"},
			{Source: "cmp.same", Destination: "cmp.same", Key: "k", Args: topology.Table{"n": 1}},
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
		c, err := topology.Compare(t.Context(), conn, wanted)
		if err != nil || !slices.Equal(lines(c), look) || c.Settled() {
			t.Errorf("comparison:\n%v\nerror %v", c, err)
		}
	}

	probed, err := topology.Compare(t.Context(), conn, wanted, topology.Probe())
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

	applied, err := topology.Apply(t.Context(), conn, wanted)
	if err != nil || applied.Count(topology.Create) != 3 || applied.Count(topology.Adopt) != 2 || applied.Count(topology.Differs) != 2 ||
		applied.Count(topology.Ensure) != 2 {
		t.Errorf("applied:\n%v\nerror %v", applied, err)
	}
	again, err := topology.Apply(t.Context(), conn, wanted)
	if err != nil || again.Count(topology.Create) != 0 || again.Count(topology.Adopt) != 4 || again.Count(topology.Differs) != 2 ||
		again.Count(topology.Ensure) != 3 {
		t.Errorf("applied again:\n%v\nerror %v", again, err)
	}
	for _, change := range again.Changes {
		if change.Action == topology.Differs && (len(change.Differences) != 1 || !errors.Is(change.Err, core.ErrPreconditionFailed)) {
			t.Errorf("%+v", change)
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
	has.Bindings = append(has.Bindings, b("", "cmp.same"), b("cmp.same", "amq.gen-1"), bx("amq.topic", "amq.rabbitmq.trace"))
	c, err := topology.Compare(t.Context(), nil, wanted, topology.With(inventory{has: has}))
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
- extra   exchange "cmp.extra"
- extra   queue "cmp.extra"
- extra   queue "log"
- extra   binding of queue "cmp.extra" to "cmp.same" with key ""
4 to create, 3 to adopt, 0 to make sure of, 2 differ, 0 refused, 4 extra
`
	if got := c.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	settled, err := topology.Compare(t.Context(), nil, beforehand, topology.With(inventory{has: beforehand}))
	if err != nil || !settled.Settled() || settled.Count(topology.Adopt) != 7 {
		t.Errorf("compared with itself, error %v:\n%s", err, settled)
	}
	if _, err := topology.Compare(t.Context(), nil, wanted, topology.With(inventory{err: core.ErrClosed})); !errors.Is(err, core.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

func TestQueueTypesInAnInventory(t *testing.T) {
	for _, c := range []struct {
		want, have string
		action     topology.Action
	}{
		{"", topology.Quorum, topology.Adopt}, // it may be the default
		{topology.Classic, topology.Classic, topology.Adopt},
		{topology.Quorum, topology.Classic, topology.Differs},
	} {
		want := topology.Topology{Queues: []topology.Queue{{Name: "q", Type: c.want}}}
		have := topology.Topology{Queues: []topology.Queue{{Name: "q", Type: c.have}}}
		got, err := topology.Compare(t.Context(), nil, want, topology.With(inventory{has: have}))
		if err != nil || got.Changes[0].Action != c.action {
			t.Errorf("%q and %q: %s, error %v", c.want, c.have, got.Changes[0], err)
		}
	}
}

func TestCompareRefusesWhatIsInvalid(t *testing.T) {
	wrong := topology.Topology{Queues: []topology.Queue{{Name: "amq.q"}}}
	if _, err := topology.Compare(t.Context(), nil, wrong); err == nil {
		t.Error("no error")
	}
	if _, err := topology.Apply(t.Context(), nil, wrong); err == nil {
		t.Error("no error")
	}
}

func TestApplyReportsRefusals(t *testing.T) {
	conn, _ := dialTestBroker(t)
	c, err := topology.Apply(t.Context(), conn, topology.Topology{
		Queues:   []topology.Queue{q("q"), {}},
		Bindings: []topology.Binding{b("nowhere", "q"), b("amq.topic", "q")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Count(topology.Create) != 3 || c.Count(topology.Refused) != 1 || c.Count(topology.Ensure) != 0 {
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
		conn, f := connect(t, time.Millisecond, nil)
		ordinary := func(channel uint16, m wire.Method) wire.Method {
			if declares(m, "q20") && !m.(*wire.QueueDeclare).Passive {
				return refusal(core.ErrPreconditionFailed, m)
			}
			return nil
		}
		stuck := map[uint16]bool{}
		f.answer = func(channel uint16, m wire.Method) wire.Method {
			stuck[channel] = stuck[channel] || declares(m, "q3") && !m.(*wire.QueueDeclare).Passive
			if stuck[channel] {
				return silence
			}
			return ordinary(channel, m)
		}
		var all topology.Topology
		for i := range queues {
			all.Queues = append(all.Queues, q(fmt.Sprintf("q%d", i)))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, core.ErrTimeout)
		defer cancel()
		c, err := topology.Apply(ctx, conn, all)
		if _, ok := errors.AsType[*topology.InterruptedError](err); !ok || c == nil {
			t.Fatalf("%v, error %v", c, err)
		}
		for i, change := range c.Changes {
			want := topology.Adopt
			if i == 20 {
				want = topology.Differs
			}
			reached := i < 3 || i >= queues/4
			if change.Action != want || change.Unseen == reached {
				t.Errorf("%s: want %s, reached %t", change, want, reached)
			}
		}
	})
}
