package topology

import (
	"fmt"

	"github.com/warren-mq/warren/core"
)

// Step is one declaration of a replay.
type Step struct {
	Entity fmt.Stringer // an [Exchange], [Queue] or [Binding]
	Method core.Method
	// Name is the present name of a queue that is declared with an empty one.
	Name string
}

// Phase is a number of steps that do not depend on each other. A phase begins
// when the one before it has ended.
type Phase struct {
	Name  string // "exchanges", "queues", "bindings"
	Steps []Step
}

// Plan returns what declares everything recorded, in order: exchanges, queues,
// bindings, each in the order of declaration. Bindings are planned by present
// names, so plan them after the queues were declared: see [Replay].
func (r *Recorder) Plan() []Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	phases := []Phase{{Name: "exchanges"}, {Name: "queues"}, {Name: "bindings"}}
	for _, e := range r.exchanges {
		phases[0].Steps = append(phases[0].Steps, Step{Entity: e, Method: e.Declare()})
	}
	for _, q := range r.queues {
		declare := q.Queue
		if q.serverNamed {
			declare.Name = ""
		}
		phases[1].Steps = append(phases[1].Steps, Step{Entity: q.Queue, Method: declare.Declare(), Name: q.Name})
	}
	for _, b := range r.bindings {
		phases[2].Steps = append(phases[2].Steps, Step{Entity: b, Method: b.Bind()})
	}
	return phases
}

// Plan returns the phases that declare t.
func (t Topology) Plan() []Phase {
	r := NewRecorder()
	r.exchanges, r.bindings = t.Exchanges, t.Bindings
	for _, q := range t.Queues {
		r.queues = append(r.queues, &queueRecord{Queue: q, serverNamed: q.Name == ""})
	}
	return r.Plan()
}
