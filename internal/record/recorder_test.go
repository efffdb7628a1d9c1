package record_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// Short forms for the tables below.

func x(name string) topology.Exchange   { return topology.Exchange{Name: name} }
func xad(name string) topology.Exchange { return topology.Exchange{Name: name, AutoDelete: true} }
func q(name string) topology.Queue      { return topology.Queue{Name: name} }
func qad(name string) topology.Queue    { return topology.Queue{Name: name, AutoDelete: true} }
func b(source, queue string) topology.Binding {
	return topology.Binding{Source: source, Destination: queue}
}
func bx(source, exchange string) topology.Binding {
	return topology.Binding{Source: source, Destination: exchange, ToExchange: true}
}

// add puts entities into a recorder.
func add(t *testing.T, r *record.Recorder, entities ...topology.Entity) {
	t.Helper()
	for _, e := range entities {
		queue, _ := e.(topology.Queue)
		if err := r.Record(e, queue.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// names returns a topology in one line an entity: "x a", "q b", "a→b", "a⇒c" for a binding to an exchange.
func names(t topology.Topology) []string {
	var out []string
	for _, e := range t.Exchanges {
		out = append(out, "x "+e.Name)
	}
	for _, e := range t.Queues {
		out = append(out, "q "+e.Name)
	}
	for _, e := range t.Bindings {
		arrow := "→"
		if e.ToExchange {
			arrow = "⇒"
		}
		out = append(out, e.Source+arrow+e.Destination+e.RoutingKey)
	}
	return out
}

func TestRecorderRules(t *testing.T) {
	type entities = []topology.Entity
	for _, c := range []struct {
		name   string
		record entities
		do     func(r *record.Recorder)
		want   []string
	}{
		{"declared again keeps its place", entities{x("a"), x("b"), xad("a"), q("p"), q("q"), qad("p"), b("a", "p"), b("b", "p"), b("a", "p")}, nil,
			[]string{"x a", "x b", "q p", "q q", "a→p", "b→p"}},
		{"predeclared exchanges are always there", entities{x("amq.topic"), x("amq.rabbitmq.trace"), x(""), q("q"), b("amq.topic", "q"), bx("amq.topic", "amq.fanout")}, nil,
			[]string{"q q", "amq.topic→q", "amq.topic⇒amq.fanout"}},
		{"bindings to what others declared", entities{b("theirs", "theirs too")}, nil, []string{"theirs→theirs too"}},
		{"a queue and an exchange of one name are two", entities{x("a"), q("a"), x("s"), b("s", "a"), bx("s", "a")},
			func(r *record.Recorder) { r.DeleteQueue("a") }, []string{"x a", "x s", "s⇒a"}},

		{"a deleted queue takes its bindings", entities{x("a"), q("p"), q("q"), b("a", "p"), b("a", "q")},
			func(r *record.Recorder) { r.DeleteQueue("p") }, []string{"x a", "q q", "a→q"}},
		{"a deleted exchange takes bindings from and to it", entities{x("a"), x("b"), q("q"), b("a", "q"), bx("b", "a"), b("b", "q")},
			func(r *record.Recorder) { r.DeleteExchange("a") }, []string{"x b", "q q", "b→q"}},
		{"bound to itself", entities{x("a"), bx("a", "a")},
			func(r *record.Recorder) { r.DeleteExchange("a") }, nil},
		{"auto-deleted and bound to itself", entities{xad("a"), q("q"), bx("a", "a"), b("a", "q")},
			func(r *record.Recorder) { r.DeleteQueue("q") }, []string{"x a", "a⇒a"}},
		{"what was not recorded cannot be deleted", entities{x("a")},
			func(r *record.Recorder) { r.DeleteExchange("b"); r.DeleteQueue("a"); r.DeleteBinding(b("a", "b")) }, []string{"x a"}},
		{"the bindings of what was not recorded can", entities{b("a", "q"), b("a", "p")},
			func(r *record.Recorder) { r.DeleteQueue("q") }, []string{"a→p"}},

		{"an unbound binding", entities{x("a"), q("q"), b("a", "q"), topology.Binding{Source: "a", Destination: "q", RoutingKey: "k"}},
			func(r *record.Recorder) { r.DeleteBinding(b("a", "q")) }, []string{"x a", "q q", "a→qk"}},
		{"an auto-delete exchange goes with its last binding", entities{xad("a"), q("p"), q("q"), b("a", "p"), b("a", "q")},
			func(r *record.Recorder) { r.DeleteBinding(b("a", "p")); r.DeleteBinding(b("a", "q")) }, []string{"q p", "q q"}},
		{"and stays with the last but one", entities{xad("a"), q("p"), q("q"), b("a", "p"), b("a", "q")},
			func(r *record.Recorder) { r.DeleteBinding(b("a", "p")) }, []string{"x a", "q p", "q q", "a→q"}},
		{"and stays while it has none yet", entities{xad("a"), bx("amq.topic", "a")}, nil, []string{"x a", "amq.topic⇒a"}},
		{"and stays for bindings to exchanges", entities{xad("a"), x("b"), q("q"), b("a", "q"), bx("a", "b")},
			func(r *record.Recorder) { r.DeleteQueue("q") }, []string{"x a", "x b", "a⇒b"}},
		{"and goes through a chain", entities{xad("a"), xad("b"), xad("c"), q("q"), bx("a", "b"), bx("b", "c"), b("c", "q")},
			func(r *record.Recorder) { r.DeleteQueue("q") }, nil},

		{"an auto-delete queue goes with its last consumer", entities{xad("a"), qad("q"), b("a", "q")}, func(r *record.Recorder) {
			r.ConsumerAdded("q")
			r.ConsumerAdded("q")
			r.ConsumerRemoved("q")
			if r.Len() != 3 {
				t.Error("went with the last but one")
			}
			r.ConsumerRemoved("q")
		}, nil},
		{"and stays while it has none yet", entities{qad("q")}, nil, []string{"q q"}},
		{"declared again it keeps its consumers", entities{qad("q")}, func(r *record.Recorder) {
			r.ConsumerAdded("q")
			r.ConsumerAdded("q")
			_ = r.Queue(qad("q"), "q")
			r.ConsumerRemoved("q")
		}, []string{"q q"}},
		{"other queues stay without consumers", entities{q("q")}, func(r *record.Recorder) {
			r.ConsumerAdded("q")
			r.ConsumerRemoved("q")
		}, []string{"q q"}},

		{"a queue can be left to itself", entities{xad("a"), q("q"), b("a", "q")},
			func(r *record.Recorder) { r.Forget(topology.Topology{Queues: []topology.Queue{q("q")}}) }, []string{"x a"}},
		{"so can an exchange", entities{x("a"), q("q"), b("a", "q")},
			func(r *record.Recorder) { r.Forget(topology.Topology{Exchanges: []topology.Exchange{x("a")}}) }, []string{"q q"}},
		{"so can a binding", entities{xad("a"), q("q"), b("a", "q")},
			func(r *record.Recorder) {
				r.Forget(topology.Topology{Bindings: []topology.Binding{b("a", "q"), b("a", "p")}})
			}, []string{"x a", "q q"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := record.NewRecorder()
			add(t, r, c.record...)
			if c.do != nil {
				c.do(r)
			}
			if got := names(r.Snapshot()); !slices.Equal(got, c.want) {
				t.Errorf("recorded %q, want %q", got, c.want)
			}
			if got := r.Len(); got != len(c.want) {
				t.Errorf("Len %d, want %d", got, len(c.want))
			}
		})
	}
}

func TestBindingsThatDifferOnlyByArguments(t *testing.T) {
	r := record.NewRecorder()
	one := topology.Binding{Source: "a", Destination: "q", Arguments: topology.Table{"x-match": "all", "n": int32(1)}}
	two := topology.Binding{Source: "a", Destination: "q", Arguments: topology.Table{"x-match": "all", "n": int32(2)}}
	none := topology.Binding{Source: "a", Destination: "q", Arguments: topology.Table{}}
	add(t, r, one, two, none, one, b("a", "q"))
	if r.Len() != 3 {
		t.Fatalf("recorded %v", r.Snapshot().Bindings)
	}
	r.DeleteBinding(topology.Binding{Source: "a", Destination: "q", Arguments: topology.Table{"n": 1, "x-match": "all"}}) // one, as it is on the wire
	if got := r.Snapshot().Bindings; len(got) != 2 || got[0].Arguments["n"] != int32(2) {
		t.Errorf("left %v", got)
	}
}

func TestRecordedArgumentsAreCopies(t *testing.T) {
	r := record.NewRecorder()
	args := func() topology.Table {
		return topology.Table{"x-list": []any{"a"}, "x-table": topology.Table{"k": "v"}}
	}
	given := []topology.Table{args(), args(), args()}
	add(t, r, topology.Exchange{Name: "x", Arguments: given[0]}, topology.Queue{Name: "q", Arguments: given[1]},
		topology.Binding{Source: "x", Destination: "q", Arguments: given[2]})
	spoil := func(table topology.Table) {
		table["x-list"].([]any)[0] = "changed"
		table["x-table"].(topology.Table)["k"] = "changed"
	}
	for _, table := range given {
		spoil(table)
	}
	for _, look := range []string{"after the caller's change", "after a change of the snapshot"} {
		s := r.Snapshot()
		for _, table := range []topology.Table{s.Exchanges[0].Arguments, s.Queues[0].Arguments, s.Bindings[0].Arguments} {
			if !reflect.DeepEqual(table, args()) {
				t.Errorf("%s: %v", look, table)
			}
			spoil(table)
		}
	}
}

func TestBindingWithoutAQueueIsRefused(t *testing.T) {
	r := record.NewRecorder()
	if err := r.Binding(b("a", "")); err == nil || r.Len() != 0 {
		t.Errorf("error %v, recorded %v", err, r.Snapshot())
	}
	if err := r.Binding(topology.Binding{Source: "a", Destination: "q", Arguments: topology.Table{"k": struct{}{}}}); err == nil {
		t.Error("arguments that cannot be encoded were recorded")
	}
}

func TestServerNamedQueueIsRenamedEverywhere(t *testing.T) {
	r := record.NewRecorder()
	add(t, r, x("a"))
	_ = r.Queue(topology.Queue{Exclusive: true}, "amq.gen-1")
	add(t, r, b("a", "amq.gen-1"))
	for i := range 100 {
		r.Renamed(fmt.Sprintf("amq.gen-%d", i+1), fmt.Sprintf("amq.gen-%d", i+2))
	}
	want := []string{"x a", "q amq.gen-101", "a→amq.gen-101"}
	if got := names(r.Snapshot()); !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	for _, name := range []string{"amq.gen-1", "amq.gen-90", "amq.gen-100", "amq.gen-101"} {
		if got := r.Resolve(name); got != "amq.gen-101" {
			t.Errorf("%s resolves to %s", name, got)
		}
	}
	if got := r.Resolve("amq.gen-50"); got != "amq.gen-50" {
		t.Errorf("amq.gen-50 is still remembered: %s", got)
	}
	add(t, r, b("a", "amq.gen-1")) // the same binding, under the first name
	r.ConsumerAdded("amq.gen-1")
	r.DeleteBinding(b("a", "amq.gen-99"))
	if got := names(r.Snapshot()); !slices.Equal(got, want[:2]) {
		t.Errorf("after unbinding: %q", got)
	}
	r.DeleteQueue("amq.gen-1")
	if r.Len() != 1 || r.Resolve("amq.gen-1") != "amq.gen-1" {
		t.Errorf("after deletion: %v", r.Snapshot())
	}
	steps := r.Plan()[1].Steps
	if len(steps) != 0 {
		t.Errorf("planned %v", steps)
	}
}

func TestModes(t *testing.T) {
	everything := []topology.Entity{
		x("d"), xad("ad"), topology.Exchange{Name: "t", Transient: true},
		q("q"), qad("qad"), topology.Queue{Name: "qt", Transient: true}, topology.Queue{Name: "qx", Exclusive: true},
		b("d", "q"), b("ad", "q"), b("t", "q"), b("d", "qad"), b("d", "qt"), b("d", "qx"), bx("d", "t"), bx("d", "other"),
	}
	for _, c := range []struct {
		mode topology.RecordMode
		want []string
	}{
		{topology.RecordModeAll, []string{"x d", "x ad", "x t", "q q", "q qad", "q qt", "q qx",
			"d→q", "ad→q", "t→q", "d→qad", "d→qt", "d→qx", "d⇒t", "d⇒other"}},
		{topology.RecordModeTransient, []string{"x ad", "x t", "q qad", "q qt", "q qx",
			"ad→q", "t→q", "d→qad", "d→qt", "d→qx", "d⇒t"}},
		{topology.RecordModeOff, nil},
	} {
		r := record.NewRecorder(record.WithMode(c.mode))
		add(t, r, everything...)
		if got := names(r.Snapshot()); !slices.Equal(got, c.want) {
			t.Errorf("mode %d recorded %q, want %q", c.mode, got, c.want)
		}
	}
}

func TestNoReplay(t *testing.T) {
	r := record.NewRecorder()
	add(t, r, topology.Exchange{Name: "once", NoReplay: true}, x("a"), topology.Queue{Name: "once", NoReplay: true}, q("q"),
		b("a", "once"), b("once", "q"), b("a", "q"), topology.Binding{Source: "a", Destination: "q", RoutingKey: "once", NoReplay: true})
	if got, want := planned(r.Plan()), []string{"x a", "q q", "a→q"}; !slices.Equal(got, want) {
		t.Errorf("planned %q, want %q", got, want)
	}
	if r.Len() != 8 {
		t.Errorf("recorded %q", names(r.Snapshot()))
	}
	r.DeleteQueue("once")
	r.DeleteExchange("once")
	if r.Len() != 4 {
		t.Errorf("left %q", names(r.Snapshot()))
	}
}

func TestLimit(t *testing.T) {
	r := record.NewRecorder(record.WithLimit(3))
	add(t, r, x("a"), q("q"), b("a", "q"))
	add(t, r, x("a"), q("q"), b("a", "q")) // known already
	for _, err := range []error{r.Exchange(x("b")), r.Queue(q("p"), "p"), r.Binding(b("a", "p"))} {
		if !errors.Is(err, topology.ErrFull) {
			t.Errorf("beyond the limit: %v", err)
		}
	}
	if s := r.Stats(); s != (topology.RecordStats{Exchanges: 1, Queues: 1, Bindings: 1, Limit: 3, Refused: 3}) {
		t.Errorf("stats %+v", s)
	}
	r.DeleteQueue("q")
	add(t, r, q("p"))
}

// planned returns a plan as [names] returns a topology.
func planned(phases []record.Phase) []string {
	var entities []topology.Entity
	for _, p := range phases {
		for _, s := range p.Steps {
			entities = append(entities, s.Entity)
		}
	}
	return names(made(entities...))
}

// made returns a topology of entities.
func made(entities ...topology.Entity) topology.Topology {
	var t topology.Topology
	for _, e := range entities {
		switch e := e.(type) {
		case topology.Exchange:
			t.Exchanges = append(t.Exchanges, e)
		case topology.Queue:
			t.Queues = append(t.Queues, e)
		case topology.Binding:
			t.Bindings = append(t.Bindings, e)
		}
	}
	return t
}
