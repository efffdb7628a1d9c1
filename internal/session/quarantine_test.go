package session

import (
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

func TestQuarantineWaits(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"refused", closed(core.ScopeChannel, core.ErrPreconditionFailed, ""), "500ms 1s 2s 4s 8s 16s 30s 30s"},
		{"missing, perhaps just taken away", closed(core.ScopeChannel, core.ErrNotFound, ""), "100ms 200ms 400ms 800ms"},
		{"locked, by somebody else", closed(core.ScopeChannel, core.ErrResourceLocked, ""), "500ms 1s 2s 2s"},
		{"fatal, tried rarely", closed(core.ScopeConnection, core.ErrInternal, ""), "1m0s 2m0s 4m0s 8m0s 16m0s 32m0s 1h0m0s 1h0m0s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var q quarantine
			now := time.Now()
			var got []string
			for range strings.FieldsSeq(test.want) {
				q.refuse(topology.Queue{Name: "q"}, test.err, now)
				at, ok := q.next()
				if !ok {
					t.Fatal("never due")
				}
				got = append(got, at.Sub(now).String())
				if len(q.due(at.Add(-1))) != 0 || len(q.due(at)) != 1 {
					t.Error("not due when it should be")
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("waits %v; want %s", got, test.want)
			}
		})
	}
}

func TestQuarantineBudget(t *testing.T) {
	q := quarantine{budget: recovery.Budget{Attempts: 2}}
	now := time.Now()
	missing := closed(core.ScopeChannel, core.ErrNotFound, "")
	q.refuse(topology.Queue{Name: "q"}, missing, now)
	q.refuse(topology.Queue{Name: "q"}, missing, now)
	if _, ok := q.next(); ok || len(q.failures()) != 1 {
		t.Errorf("still due: %t; failures %v", ok, q.failures())
	}
	q.reset(false)
	if len(q.failures()) != 0 {
		t.Errorf("after a new connection: %v", q.failures())
	}
}

func TestQuarantineKeepsWhatClosesConnections(t *testing.T) {
	var q quarantine
	q.refuse(topology.Queue{Name: "bad"}, closed(core.ScopeConnection, core.ErrInternal, ""), time.Now())
	q.refuse(topology.Queue{Name: "locked"}, closed(core.ScopeChannel, core.ErrResourceLocked, ""), time.Now())
	q.reset(false)
	if !q.inOwnTime(`queue "bad"`) || len(q.failures()) != 1 {
		t.Errorf("left: %v", q.failures())
	}
	q.release(`queue "bad"`)
	if q.inOwnTime(`queue "bad"`) {
		t.Error("not released")
	}
}

func TestQuarantineNudgesWhatMissedSomething(t *testing.T) {
	var q quarantine
	now := time.Now()
	b := topology.Binding{Source: "x", Destination: "q"}
	q.refuse(b, closed(core.ScopeChannel, core.ErrNotFound, ""), now)
	q.refuse(topology.Queue{Name: "q"}, closed(core.ScopeChannel, core.ErrResourceLocked, ""), now)
	q.nudge(now)
	if due := q.due(now); len(due) != 1 || !due[q.find(entityKey(b))] {
		t.Errorf("due: %v", due)
	}
}

// TestQuarantineFollowsARenamedQueue: its bindings are those of the new name, or nobody would declare them.
func TestQuarantineFollowsARenamedQueue(t *testing.T) {
	var q quarantine
	now := time.Unix(0, 0)
	of := func(queue string, exchange bool) topology.Binding {
		return topology.Binding{Source: "x", Destination: queue, RoutingKey: "k", ToExchange: exchange}
	}
	for _, e := range []topology.Binding{of("amq.gen-1", false), of("other", false), of("amq.gen-1", true)} {
		q.refuse(e, core.ErrAccessRefused, now)
	}
	q.renamed("amq.gen-1", "amq.gen-2")
	if p := q.find(entityKey(of("amq.gen-2", false))); p == nil || p.Entity.(topology.Binding).Destination != "amq.gen-2" {
		t.Errorf("the binding did not follow: %+v", p)
	}
	if q.find(entityKey(of("amq.gen-1", false))) != nil || q.find(entityKey(of("other", false))) == nil || q.find(entityKey(of("amq.gen-1", true))) == nil {
		t.Errorf("other entities followed too: %v", q.failures())
	}
	q.release(entityKey(of("amq.gen-2", false)))
	if n := len(q.due(now.Add(time.Hour))); n != 2 {
		t.Errorf("%d are left, want 2", n)
	}
}

func TestEntityKeyTellsBindingsApartByArguments(t *testing.T) {
	one := topology.Binding{Source: "x", Destination: "q", Arguments: topology.Table{"a": int32(1), "b": int32(2)}}
	same := topology.Binding{Source: "x", Destination: "q", Arguments: topology.Table{"b": int32(2), "a": int32(1)}}
	other := topology.Binding{Source: "x", Destination: "q", Arguments: topology.Table{"a": int32(2)}}
	if entityKey(one) != entityKey(same) || entityKey(one) == entityKey(other) {
		t.Errorf("%s, %s, %s", entityKey(one), entityKey(same), entityKey(other))
	}
}

func declares(names string) []record.Step {
	var steps []record.Step
	for name := range strings.FieldsSeq(names) {
		q := topology.Queue{Name: name}
		steps = append(steps, record.Step{Entity: q, Method: q.Declare(), Name: name})
	}
	return steps
}

func names(steps []record.Step) string {
	var all []string
	for _, step := range steps {
		all = append(all, step.Name)
	}
	return strings.Join(all, " ")
}

func TestSuspects(t *testing.T) {
	deprecated := &core.Error{Code: core.ErrInternal, Scope: core.ScopeConnection, Server: true, Method: "queue.declare"}
	bind := topology.Binding{Source: "x", Destination: "q"}
	tests := []struct {
		name     string
		cause    error
		inFlight []record.Step
		culprit  string
		suspects string
	}{
		{"one", deprecated, declares("a"), "a", ""},
		{"several", deprecated, declares("a b c"), "", "a b c"},
		{"the method narrows it down", deprecated, append(declares("a"), record.Step{Entity: bind, Method: bind.Bind()}), "a", ""},
		{"no method given", &core.Error{Code: core.ErrInternal, Scope: core.ScopeConnection, Server: true}, declares("a"), "a", ""},
		{"an operator closed it", &core.Error{Code: core.ErrConnectionForced, Scope: core.ScopeConnection, Server: true}, declares("a"), "", ""},
		{"the client closed it", &core.Error{Code: core.ErrFrame, Scope: core.ScopeConnection}, declares("a"), "", ""},
		{"the network", core.ErrSilent, declares("a b"), "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var s suspects
			culprit, found := s.accuse(test.cause, test.inFlight)
			if found != (test.culprit != "") || culprit.Name != test.culprit {
				t.Errorf("culprit %q, %t; want %q", culprit.Name, found, test.culprit)
			}
			sound, suspected := s.split(test.inFlight)
			if names(suspected) != test.suspects || len(sound)+len(suspected) != len(test.inFlight) {
				t.Errorf("suspects %q; want %q", names(suspected), test.suspects)
			}
		})
	}
}
