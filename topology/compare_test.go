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
	if !unsettled(err, 2) || applied.Count(topology.Create) != 3 || applied.Count(topology.Adopt) != 2 || applied.Count(topology.Differs) != 2 ||
		applied.Count(topology.Ensure) != 2 {
		t.Errorf("applied:\n%v\nerror %v", applied, err)
	}
	again, err := topology.Apply(t.Context(), conn, wanted)
	if !unsettled(err, 2) || !errors.Is(err, core.ErrPreconditionFailed) || again.Count(topology.Create) != 0 || again.Count(topology.Adopt) != 4 || again.Count(topology.Differs) != 2 ||
		again.Count(topology.Ensure) != 3 {
		t.Errorf("applied again:\n%v\nerror %v", again, err)
	}
	for _, change := range again.Changes {
		if change.Action == topology.Differs && (len(change.Differences) != 1 || !errors.Is(change.Err, core.ErrPreconditionFailed)) {
			t.Errorf("%+v", change)
		}
	}
}

// unsettled reports whether err tells of n entities that are not as wanted.
func unsettled(err error, n int) bool {
	e, ok := errors.AsType[*topology.UnsettledError](err)
	return ok && len(e.Changes) == n
}

// TestAnUnsettledErrorNamesWhatIsWrong, and does not fill a log.
func TestAnUnsettledErrorNamesWhatIsWrong(t *testing.T) {
	var want, have topology.Topology
	for i := range 5 {
		want.Queues = append(want.Queues, queueWith("", topology.MaxLength(1)))
		want.Queues[i].Name = fmt.Sprintf("q%d", i)
		have.Queues = append(have.Queues, topology.Queue{Name: want.Queues[i].Name})
	}
	want.Queues = append(want.Queues, q("new"))
	c, err := topology.Compare(t.Context(), nil, want, topology.With(inventory{has: have}))
	if err != nil {
		t.Fatal(err)
	}
	text := `topology: 5 of 6 entities are not as wanted: queue "q0" differs: x-max-length is none, want 1; ` +
		`queue "q1" differs: x-max-length is none, want 1; queue "q2" differs: x-max-length is none, want 1; and 2 more`
	if err := c.Err(); !unsettled(err, 5) || err.Error() != text {
		t.Errorf("%v", err)
	}
	c, err = topology.Compare(t.Context(), nil, topology.Topology{Queues: []topology.Queue{q("new")}}, topology.With(inventory{}))
	if err != nil || c.Err() != nil {
		t.Errorf("%v, %v", err, c.Err())
	}
}

// TestDifferencesAreInOneUnit: what is wanted and what is there can be compared by eye.
func TestDifferencesAreInOneUnit(t *testing.T) {
	for _, c := range []struct {
		d    topology.Difference
		want string
	}{
		{topology.Difference{Field: "x-max-age", Have: "7D", Want: "86400s"}, "x-max-age is 7D (168h0m0s), want 86400s (24h0m0s)"},
		{topology.Difference{Field: "x-max-age", Have: "1D", Want: "86400s"},
			"x-max-age is 1D, want 86400s (24h0m0s): the same, but RabbitMQ compares how it is written"},
		{topology.Difference{Field: "x-max-age", Have: "none", Want: "1Y"}, "x-max-age is none, want 1Y (8760h0m0s)"},
		{topology.Difference{Field: "x-message-ttl", Have: "1500", Want: "none"}, "x-message-ttl is 1500 (1.5s), want none"},
		{topology.Difference{Field: "x-max-length-bytes", Have: "1048576", Want: "1500000000"}, "x-max-length-bytes is 1048576 (1 MiB), want 1500000000 (1.39 GiB)"},
		{topology.Difference{Field: "x-max-length-bytes", Have: "1", Want: "1023"}, "x-max-length-bytes is 1, want 1023"},
		{topology.Difference{Field: "x-max-length", Have: "1048576", Want: "2"}, "x-max-length is 1048576, want 2"},
		{topology.Difference{Field: "x-expires", Have: "9223372036854775807", Want: "-1"}, "x-expires is 9223372036854775807, want -1"},
		{topology.Difference{Field: "durable", Have: "true", Want: "false"}, "durable is true, want false"},
	} {
		if got := c.d.String(); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}

// TestAges: RabbitMQ 4.3 takes the same time in another unit for the same and shows
// ages in milliseconds, earlier ones do neither.
func TestAges(t *testing.T) {
	stream := func(age string) topology.Queue {
		return queueWith(topology.Stream, topology.Argument("x-max-age", age))
	}
	for _, c := range []struct {
		version, want string
		action        topology.Action
		line          string
	}{
		{"4.3", "86400s", topology.Adopt, `= adopt   queue "q"`},
		{"4.0", "86400s", topology.Differs, `~ differs queue "q": x-max-age is 1D, want 86400s (24h0m0s): the same, but RabbitMQ compares how it is written`},
		{"4.3", "2D", topology.Differs, `~ differs queue "q": x-max-age is 86400s (24h0m0s), want 172800s (48h0m0s)`},
		{"3.10", "2D", topology.Differs, `~ differs queue "q": x-max-age is 1D (24h0m0s), want 2D (48h0m0s)`},
	} {
		conn, _ := dialTestBroker(t, brokertest.WithVersion(c.version))
		declareAll(t, conn, topology.Topology{Queues: []topology.Queue{stream("1D").With(topology.MaxSegmentBytes(1000))}})
		want := topology.Topology{Queues: []topology.Queue{stream(c.want).With(topology.MaxSegmentBytes(1000))}}
		got, err := topology.Compare(t.Context(), conn, want, topology.Probe())
		if err != nil || got.Changes[0].Action != c.action || got.Changes[0].String() != c.line {
			t.Errorf("%s, %s: error %v\n%s", c.version, c.want, err, got)
		}
		want.Queues[0] = want.Queues[0].With(topology.MaxSegmentBytes(2000)) // a further difference is found behind the age
		got, err = topology.Compare(t.Context(), conn, want, topology.Probe())
		if err != nil || !strings.Contains(got.String(), "x-stream-max-segment-size-bytes is 1000, want 2000") {
			t.Errorf("%s, %s: error %v\n%s", c.version, c.want, err, got)
		}
	}
	have := topology.Topology{Queues: []topology.Queue{stream("1D")}}
	for age, action := range map[string]topology.Action{"86400s": topology.Adopt, "24h": topology.Adopt, "2D": topology.Differs} {
		got, err := topology.Compare(t.Context(), nil, topology.Topology{Queues: []topology.Queue{stream(age)}}, topology.With(inventory{has: have}))
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
. extra   exchange "cmp.extra" (left as it is)
. extra   queue "cmp.extra" (left as it is)
. extra   queue "log" (left as it is)
. extra   binding of queue "cmp.extra" to "cmp.same" with key "" (left as it is)
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
	if !unsettled(err, 1) || !errors.Is(err, core.ErrNotFound) {
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

// A queue that the broker is to name is a new one each time, whatever was declared before it.
func TestAServerNamedQueueIsNeverThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, broker := dialTestBroker(t)
		defer broker.Close()
		declareAll(t, conn, topology.Topology{Queues: []topology.Queue{{Name: "first"}, {Name: "last"}}})
		c, err := topology.Compare(t.Context(), conn, topology.Topology{Queues: []topology.Queue{{Name: "first"}, {Exclusive: true}, {Name: "last"}}})
		if err != nil {
			t.Fatal(err)
		}
		var got []topology.Action
		for _, change := range c.Changes {
			got = append(got, change.Action)
		}
		if want := []topology.Action{topology.Adopt, topology.Create, topology.Adopt}; !slices.Equal(got, want) {
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
			Exchanges: []topology.Exchange{{Name: "x", Kind: topology.Topic, Transient: true, AutoDelete: true, Internal: true}},
			Queues:    []topology.Queue{{Name: "q", AutoDelete: true, Transient: true, Args: topology.Table{"x-single-active-consumer": true, "x-expires": int32(60_000)}}},
		})
		c, err := topology.Compare(t.Context(), conn, topology.Topology{
			Exchanges: []topology.Exchange{{Name: "x", Kind: topology.Direct}},
			Queues:    []topology.Queue{{Name: "q", Args: topology.Table{"x-single-active-consumer": false, "x-max-length": int64(7)}}},
		}, topology.Probe())
		if err != nil {
			t.Fatal(err)
		}
		want := [][]string{
			{"type is topic, want direct", "durable is false, want true", "auto_delete is true, want false", "internal is true, want false"},
			{"durable is false, want true", "auto_delete is true, want false", "x-single-active-consumer is true, want false", "x-expires is 60000 (1m0s), want none",
				"x-max-length is none, want 7"},
		}
		for i, change := range c.Changes {
			if change.Action != topology.Differs || len(change.Differences) != len(want[i]) {
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
