package record

import "github.com/warren-mq/warren/topology"

// Phase is a number of steps that do not depend on each other. A phase begins
// when the one before it has ended.
type Phase struct {
	Name  string // "exchanges", "queues", "bindings"
	Steps []Step
}

// Plan returns what declares everything recorded, in order: exchanges, queues,
// bindings, each in the order of declaration. A binding is declared under the
// name that its queue has by then: see [Recorder.Renamed]. What is marked
// NoReplay is left out, with its bindings.
func (r *Recorder) Plan() []Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expiry.sweep(r.graph, now())
	return r.planLocked(everything{})
}

// Plan returns the phases that declare t.
func Plan(t topology.Topology) []Phase {
	p := newPhases()
	for _, e := range t.Exchanges {
		p.add(PhaseExchanges, Declare(e))
	}
	for _, q := range t.Queues {
		p.add(PhaseQueues, Declare(q))
	}
	for _, b := range t.Bindings {
		p.add(PhaseBindings, Declare(b))
	}
	return p
}

// selection says what a plan is to declare.
type selection interface {
	hasVertex(*vertex) bool
	hasEdge(*edge) bool
}

type everything struct{}

func (everything) hasVertex(*vertex) bool { return true }
func (everything) hasEdge(*edge) bool     { return true }

// planLocked makes the steps of what is selected.
func (r *Recorder) planLocked(s selection) []Phase {
	g, p := r.graph, newPhases()
	for v := range values[*vertex](&g.exchanges) {
		if v.replayed() && s.hasVertex(v) {
			p.add(PhaseExchanges, Step{Entity: *v.exchange, Method: v.exchange.Declare(), recorder: r, fate: &v.fate})
		}
	}
	for v := range values[*vertex](&g.queues) {
		if v.replayed() && s.hasVertex(v) {
			step := v.queue.step()
			step.recorder, step.fate = r, &v.fate
			p.add(PhaseQueues, step)
		}
	}
	for e := range values[*edge](&g.bindings) {
		if e.replayed() && s.hasEdge(e) {
			b := e.binding()
			p.add(PhaseBindings, Step{Entity: b, Method: b.Bind(), recorder: r, fate: &e.fate, edge: e})
		}
	}
	return p
}

// step declares a queue again. A server-named one gets a new name, unless it
// may have survived: then it is looked for first, so as not to leave the old
// one behind, bound and without a reader. It cannot be declared under the name
// that the broker chose, which is reserved.
func (q *queueRecord) step() Step {
	s := Step{Entity: q.Queue, Method: q.Declare(), Name: q.Name}
	if !q.serverNamed {
		return s
	}
	unnamed := q.Queue
	unnamed.Name = ""
	s.Method = unnamed.Declare()
	if !q.Exclusive {
		return s.LookFirst()
	}
	return s
}

func (v *vertex) replayed() bool {
	return (v.exchange == nil || !v.exchange.NoReplay) && (v.queue == nil || !v.queue.NoReplay)
}

func (e *edge) replayed() bool {
	return !e.NoReplay && e.ends[source].replayed() && e.ends[destination].replayed()
}

type phases []Phase

// The places of the phases in a plan.
const (
	PhaseExchanges = iota
	PhaseQueues
	PhaseBindings
)

func newPhases() phases { return phases{{Name: "exchanges"}, {Name: "queues"}, {Name: "bindings"}} }

func (p phases) add(phase int, s Step) { p[phase].Steps = append(p[phase].Steps, s) }
