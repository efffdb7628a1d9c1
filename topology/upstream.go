package topology

// Upstream returns what brings one queue back: the queue, its bindings, and
// the recorded exchanges through which messages reach it, with the bindings
// between them; in the order of [Recorder.Plan]. It has no steps if the queue
// is not recorded. queue may be an earlier name.
func (r *Recorder) Upstream(queue string) []Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := subset{map[*vertex]bool{}, map[*edge]bool{}}
	if v := r.graph.find(vertexKey{name: r.graph.resolve(queue), queue: true}); v != nil {
		s.climb(v)
	}
	return r.plan(s)
}

// subset selects vertices and edges one by one.
type subset struct {
	vertices map[*vertex]bool
	edges    map[*edge]bool
}

func (s subset) hasVertex(v *vertex) bool { return s.vertices[v] }
func (s subset) hasEdge(e *edge) bool     { return s.edges[e] }

// climb selects v and everything that leads to it.
func (s subset) climb(v *vertex) {
	for todo := []*vertex{v}; len(todo) > 0; {
		v, todo = todo[len(todo)-1], todo[:len(todo)-1]
		if s.vertices[v] {
			continue
		}
		s.vertices[v] = true
		for _, e := range v.bound[destination] {
			s.edges[e] = true
			todo = append(todo, e.ends[source])
		}
	}
}
