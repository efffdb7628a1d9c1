package topology_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/topology"
)

func TestAQueueExpiresAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := topology.NewRecorder()
		q := expiring(1000)
		q.Name = "q"
		record(t, r, q)
		time.Sleep(time.Second - 1)
		if gone := r.Expire(); gone != nil {
			t.Errorf("expired early: %v", gone)
		}
		time.Sleep(time.Nanosecond)
		if gone := r.Expire(); len(gone) != 1 {
			t.Errorf("at its time: %v", gone)
		}
	})
}

func TestRenamedToTheSameNameOrNone(t *testing.T) {
	r := topology.NewRecorder()
	_ = r.Queue(topology.Queue{Exclusive: true}, "amq.gen-1")
	record(t, r, b("a", "amq.gen-1"))
	r.Renamed("amq.gen-1", "amq.gen-2")
	r.Renamed("amq.gen-2", "amq.gen-3")
	for range 40 { // earlier names must not be forgotten for it
		r.Renamed("amq.gen-3", "amq.gen-3")
	}
	r.Renamed("amq.gen-3", "")
	r.Renamed("unknown", "amq.gen-4")
	if got := names(r.Snapshot()); !slices.Equal(got, []string{"q amq.gen-3", "a→amq.gen-3"}) {
		t.Errorf("recorded %q", got)
	}
	for _, name := range []string{"amq.gen-1", "amq.gen-2", "amq.gen-3"} {
		if got := r.Resolve(name); got != "amq.gen-3" {
			t.Errorf("%s resolves to %s", name, got)
		}
	}
}

// TestARenamedQueueTakesTheNameOver: what was recorded under it belonged to another one, that is
// gone, and must leave nothing behind.
func TestARenamedQueueTakesTheNameOver(t *testing.T) {
	for _, c := range []struct {
		name   string
		before []any
	}{
		{"bindings alone", []any{b("a", "new"), b("b", "new")}},
		{"a queue with bindings", []any{q("new"), b("a", "new"), b("b", "new")}},
	} {
		r := topology.NewRecorder()
		record(t, r, c.before...)
		record(t, r, x("a"))
		_ = r.Queue(topology.Queue{Exclusive: true}, "old")
		record(t, r, b("a", "old"))
		r.Renamed("old", "new")
		if got := names(r.Snapshot()); !slices.Equal(got, []string{"x a", "q new", "a→new"}) {
			t.Errorf("%s: recorded %q", c.name, got)
		}
		record(t, r, b("b", "new"))
		r.DeleteBinding(b("a", "new"))
		if got := names(r.Snapshot()); !slices.Equal(got, []string{"x a", "q new", "b→new"}) {
			t.Errorf("%s, bound anew: %q", c.name, got)
		}
		r.DeleteQueue("new")
		if got := names(r.Snapshot()); !slices.Equal(got, []string{"x a"}) || r.Len() != 1 {
			t.Errorf("%s, deleted: %q", c.name, got)
		}
	}
}

// TestTheLastDeclarationCounts: what is declared again is replayed, or not, as it says.
func TestTheLastDeclarationCounts(t *testing.T) {
	entities := func(noReplay bool) []any {
		return []any{
			topology.Exchange{Name: "a", NoReplay: noReplay}, topology.Queue{Name: "q", NoReplay: noReplay},
			x("x"), q("y"), topology.Binding{Source: "x", Destination: "y", NoReplay: noReplay},
		}
	}
	for _, last := range []bool{true, false} {
		r := topology.NewRecorder()
		record(t, r, entities(!last)...)
		record(t, r, entities(last)...)
		want := []string{"x a", "x x", "q q", "q y", "x→y"}
		if last {
			want = []string{"x x", "q y"}
		}
		if got := planned(r.Plan()); !slices.Equal(got, want) {
			t.Errorf("no replay %t: planned %q, want %q", last, got, want)
		}
	}
}

// TestReplayTakesElse: where the queue that is looked for is gone, or still held for the lost connection.
func TestReplayTakesElse(t *testing.T) {
	for _, code := range []core.Code{core.ErrNotFound, core.ErrResourceLocked, core.ErrAccessRefused} {
		synctest.Test(t, func(t *testing.T) {
			conn, _ := connect(t, time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
				if declares(m, "amq.old") {
					return refusal(code, m)
				}
				return nil
			})
			r := topology.NewRecorder()
			_ = r.Queue(topology.Queue{Exclusive: true}, "amq.old")
			results, err := topology.Replay(t.Context(), conn, []topology.Step{r.Plan()[1].Steps[0].LookFirst()})
			if err != nil || len(results) != 1 {
				t.Fatalf("%v, error %v", results, err)
			}
			taken := results[0].Err == nil && results[0].Declared() == "amq.gen-1"
			if want := code != core.ErrAccessRefused; taken != want {
				t.Errorf("%v: declared %q, error %v", code, results[0].Declared(), results[0].Err)
			}
		})
	}
}

// TestReplayLeavesNoChannelBehind when one of several cannot be opened.
func TestReplayLeavesNoChannelBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, f := connect(t, time.Millisecond, func(channel uint16, m wire.Method) wire.Method {
			if m.ID() == wire.MethodChannelOpen && channel == 3 {
				return refusal(core.ErrNotAllowed, m)
			}
			return nil
		})
		var all topology.Topology
		for i := range 64 { // for four channels
			all.Queues = append(all.Queues, q(fmt.Sprintf("q%d", i)))
		}
		if _, err := topology.Replay(t.Context(), conn, all.Plan()[1].Steps); err == nil {
			t.Error("no error")
		}
		synctest.Wait()
		if f.opened() != 0 || f.channels != 4 {
			t.Errorf("%d of %d channels are left open", f.opened(), f.channels)
		}
	})
}

// TestSurveyLeavesOutWhatIsDeletedMeanwhile: an application deletes what is just found missing.
func TestSurveyLeavesOutWhatIsDeletedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := topology.NewRecorder()
		record(t, r, x("a"), q("kept"), q("gone"), q("also"), b("a", "kept"), b("a", "gone"), b("a", "also"))
		conn, _ := connect(t, time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
			if declares(m, "gone") {
				r.DeleteQueue("gone")
				r.Forget(topology.Topology{Queues: []topology.Queue{q("also")}})
			}
			if declares(m, "gone") || declares(m, "also") {
				return refusal(core.ErrNotFound, m)
			}
			return nil
		})
		phases, err := r.Survey(t.Context(), conn, topology.Loss{Scope: topology.LostConnection})
		if got := planned(phases); err != nil || got != nil {
			t.Errorf("planned %q, error %v", got, err)
		}
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
		c, err := topology.Compare(t.Context(), other, all, topology.Probe())
		if err != nil || c.Count(topology.Differs) != 1 {
			t.Errorf("%+v: error %v\n%s", want, err, c)
		}
		if c, err = topology.Apply(t.Context(), other, all); !unsettled(err, 1) || c.Count(topology.Differs) != 1 {
			t.Errorf("%+v, applied: error %v\n%s", want, err, c)
		}
	}
}

// exchangeVariants and queueVariants each differ from the ordinary one in one property.
var (
	exchangeVariants = []topology.Exchange{
		{Name: "e", Kind: topology.Fanout}, {Name: "e", Transient: true}, {Name: "e", AutoDelete: true}, {Name: "e", Internal: true},
		{Name: "e", Args: topology.Table{"alternate-exchange": "a"}},
	}
	queueVariants = []topology.Queue{
		{Name: "q", Type: topology.Classic}, {Name: "q", Transient: true}, {Name: "q", Exclusive: true}, {Name: "q", AutoDelete: true},
		{Name: "q", Args: topology.Table{"x-max-length": 1}},
	}
)

// TestEveryPropertyIsCompared with what an inventory shows.
func TestEveryPropertyIsCompared(t *testing.T) {
	compared := func(want, have topology.Topology, what any) {
		t.Helper()
		for _, pair := range [][2]topology.Topology{{want, have}, {have, want}} {
			c, err := topology.Compare(t.Context(), nil, pair[0], topology.With(inventory{has: pair[1]}))
			if err != nil || c.Count(topology.Differs) != 1 || len(c.Changes[0].Differences) != 1 {
				t.Errorf("%+v: error %v\n%s", what, err, c)
			}
		}
	}
	for _, e := range exchangeVariants {
		compared(topology.Topology{Exchanges: []topology.Exchange{e}}, topology.Topology{Exchanges: []topology.Exchange{{Name: "e"}}}, e)
	}
	for _, v := range queueVariants {
		want, plain := v, q("q")
		if v.Type != "" {
			want.Type, plain.Type = topology.Quorum, topology.Stream // without a type it is the default's, whichever
		}
		compared(topology.Topology{Queues: []topology.Queue{want}}, topology.Topology{Queues: []topology.Queue{plain}}, v)
	}
}

// TestTheSameEntityTwice is valid as long as it is the same.
func TestTheSameEntityTwice(t *testing.T) {
	for _, e := range exchangeVariants {
		for _, twice := range [][]topology.Exchange{{e, e}, {e, {Name: "e"}}, {{Name: "e"}, e}} {
			same := reflect.DeepEqual(twice[0], twice[1])
			if err := (topology.Topology{Exchanges: twice}).Validate(); (err == nil) != same {
				t.Errorf("%+v: %v", twice, err)
			}
		}
	}
	for _, v := range queueVariants {
		for _, twice := range [][]topology.Queue{{v, v}, {v, q("q")}, {q("q"), v}} {
			same := reflect.DeepEqual(twice[0], twice[1])
			if err := (topology.Topology{Queues: twice}).Validate(); (err == nil) != same {
				t.Errorf("%+v: %v", twice, err)
			}
		}
	}
}

// TestBoundsOfArguments: the lowest and the highest value are valid, the next is not.
func TestBoundsOfArguments(t *testing.T) {
	const days = 3650 * 24 * 60 * 60 * 1000
	for _, c := range []struct {
		kind, key string
		low, high int64 // high 0: none
	}{
		{topology.Classic, "x-message-ttl", 0, days}, {topology.Quorum, "x-message-ttl", 0, days},
		{topology.Classic, "x-expires", 1, days}, {topology.Quorum, "x-expires", 1, days},
		{topology.Classic, "x-max-length", 0, 0}, {topology.Stream, "x-max-length-bytes", 0, 0},
		{topology.Classic, "x-max-priority", 0, 255}, {topology.Classic, "x-queue-version", 1, 2},
		{topology.Quorum, "x-quorum-initial-group-size", 1, 0}, {topology.Stream, "x-initial-cluster-size", 1, 0},
		{topology.Quorum, "x-consumer-timeout", 0, 0}, {topology.Quorum, "x-max-in-memory-bytes", 0, 0},
		{topology.Stream, "x-stream-max-segment-size-bytes", 0, 3_000_000_000}, {topology.Stream, "x-stream-filter-size-bytes", 16, 255},
	} {
		values := map[int64]bool{c.low - 1: false, c.low: true}
		if c.high > 0 {
			values[c.high], values[c.high+1] = true, false
		} else {
			values[1<<40] = true
		}
		for v, valid := range values {
			err := topology.Topology{Queues: []topology.Queue{queueWith(c.kind, topology.Argument(c.key, v))}}.Validate()
			if (err == nil) != valid {
				t.Errorf("%s %s %d: %v", c.kind, c.key, v, err)
			}
		}
	}
}
