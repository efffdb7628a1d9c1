package record_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// lossRecorder holds one of each kind:
//
//	d, t(ransient), ad, chain: exchanges; chain ⇒ ad, and both are auto-delete
//	durable, transient, held (auto-delete, 2 consumers), idle (auto-delete, none),
//	ours (exclusive), survivor (server-named, durable), amq.gen-x (server-named, exclusive)
func lossRecorder(t *testing.T) *record.Recorder {
	r := record.NewRecorder()
	add(t, r, x("d"), topology.Exchange{Name: "t", Transient: true}, xad("ad"), xad("chain"),
		q("durable"), topology.Queue{Name: "transient", Transient: true}, qad("held"), qad("idle"), topology.Queue{Name: "ours", Exclusive: true})
	if err := errors.Join(r.Queue(topology.Queue{}, "survivor"), r.Queue(topology.Queue{Exclusive: true, AutoDelete: true}, "amq.gen-x")); err != nil {
		t.Fatal(err)
	}
	add(t, r, b("d", "durable"), b("d", "transient"), b("d", "held"), b("d", "idle"), b("d", "ours"),
		b("d", "survivor"), b("d", "amq.gen-x"), b("t", "durable"), bx("chain", "ad"), b("ad", "held"))
	for _, consumed := range []string{"held", "held", "amq.gen-x", "durable"} {
		r.ConsumerAdded(consumed)
	}
	return r
}

// TestServerNamedQueueThatMaySurvive is declared by no other name while it
// lives: that would leave it behind, bound and read by nobody.
func TestServerNamedQueueThatMaySurvive(t *testing.T) {
	for _, s := range lossRecorder(t).Plan()[1].Steps {
		declare := s.Method.(*core.QueueDeclare)
		switch s.Name {
		case "survivor":
			anew, _ := s.Else.(*core.QueueDeclare)
			if !declare.Passive || declare.Queue != "survivor" || anew == nil || anew.Queue != "" || anew.Passive {
				t.Errorf("survivor: %+v, else %+v", declare, s.Else)
			}
		case "amq.gen-x":
			if declare.Passive || declare.Queue != "" || s.Else != nil {
				t.Errorf("exclusive: %+v, else %+v", declare, s.Else)
			}
		default:
			if declare.Passive || declare.Queue != s.Name || s.Else != nil {
				t.Errorf("%s: %+v, else %+v", s.Name, declare, s.Else)
			}
		}
	}
}

func TestDeletedStepsAreNotWanted(t *testing.T) {
	for _, c := range []struct {
		name   string
		delete func(r *record.Recorder)
		want   []string // still
	}{
		{"nothing", func(*record.Recorder) {}, []string{"x a", "x b", "q q", "a→q", "b→q"}},
		{"queue", func(r *record.Recorder) { r.DeleteQueue("q") }, []string{"x a", "x b"}},
		{"queue, and declared again", func(r *record.Recorder) { r.DeleteQueue("q"); _ = r.Queue(q("q"), "q") }, []string{"x a", "x b"}},
		{"exchange", func(r *record.Recorder) { r.DeleteExchange("a") }, []string{"x b", "q q", "b→q"}},
		{"binding", func(r *record.Recorder) { r.DeleteBinding(b("b", "q")) }, []string{"x a", "x b", "q q", "a→q"}},
		{"declared again only", func(r *record.Recorder) { _ = r.Queue(q("q"), "q"); _ = r.Exchange(x("a")) },
			[]string{"x a", "x b", "q q", "a→q", "b→q"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := record.NewRecorder()
			add(t, r, x("a"), x("b"), q("q"), b("a", "q"), b("b", "q"))
			plan := r.Plan()
			c.delete(r)
			for i := range plan {
				plan[i].Steps = slices.DeleteFunc(plan[i].Steps, func(s record.Step) bool { return !s.Wanted() })
			}
			if got := planned(plan); !slices.Equal(got, c.want) {
				t.Errorf("wanted %q, want %q", got, c.want)
			}
		})
	}
}

func TestTopologyPlansItself(t *testing.T) {
	given := topology.Topology{
		Exchanges: []topology.Exchange{x("b"), x("a")},
		Queues:    []topology.Queue{q("z"), {Exclusive: true}, {Name: "once", NoReplay: true}},
		Bindings:  []topology.Binding{b("b", "z"), bx("b", "a"), b("a", "once")},
	}
	plan := record.Plan(given)
	if got := planned(plan); !slices.Equal(got, names(given)) {
		t.Errorf("planned %q", got)
	}
	for _, s := range plan[1].Steps {
		if !s.Wanted() || s.Else != nil {
			t.Errorf("%v: wanted %v, else %v", s.Entity, s.Wanted(), s.Else)
		}
	}
}
