package record

import "github.com/warren-mq/warren/topology"

// Upstream returns what brings the exchanges and queues back that t names: they
// themselves, the bindings to them, the exchanges at the other ends, and so on,
// if they are recorded, in the order of [Recorder.Plan]. An auto-delete
// exchange vanishes with its last binding, so where a queue is gone
// all of that may be gone too. The connection lives, and so may a queue
// of it: see [Step.LookFirst]. Queues may be named by earlier names; nothing
// else in t counts.
func (r *Recorder) Upstream(t topology.Topology) []Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := subset{map[*vertex]bool{}, map[*edge]bool{}}
	for _, e := range t.Exchanges {
		s.climb(r.graph.vertices[vertexKey{name: e.Name}])
	}
	for _, q := range t.Queues {
		s.climb(r.graph.vertices[vertexKey{name: r.graph.resolve(q.Name), queue: true}])
	}
	phases := r.planLocked(s)
	for i, step := range phases[PhaseQueues].Steps {
		phases[PhaseQueues].Steps[i] = step.LookFirst()
	}
	return phases
}

// subset selects vertices and edges one by one.
type subset struct {
	vertices map[*vertex]bool
	edges    map[*edge]bool
}

func (s subset) hasVertex(v *vertex) bool { return s.vertices[v] }
func (s subset) hasEdge(e *edge) bool     { return s.edges[e] }

// climb selects v, if there is one, and everything that leads to it.
func (s subset) climb(v *vertex) {
	for todo := []*vertex{v}; len(todo) > 0; {
		v, todo = todo[len(todo)-1], todo[:len(todo)-1]
		if v == nil || s.vertices[v] {
			continue
		}
		s.vertices[v] = true
		for _, e := range v.bound[destination] {
			s.edges[e] = true
			todo = append(todo, e.ends[source])
		}
	}
}
