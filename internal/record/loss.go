package record

import "slices"

// Loss says what is known to be lost.
type Loss uint8

// The losses.
const (
	// LossNone: nothing.
	LossNone Loss = iota
	// LossConnection: the connection, with its consumers and its exclusive queues. An auto-delete queue goes with
	// its last consumer; bindings go with either end, and auto-delete exchanges with the last binding, and so on.
	LossConnection
	// LossEverything: nothing is known about what the next broker holds.
	LossEverything
)

// lostSet is what a loss takes.
type lostSet struct {
	subset
	out map[*vertex]int // lost bindings by their source
}

// lost returns what goes with the connection.
func (g *graph) lost(l Loss) *lostSet {
	s := &lostSet{subset{map[*vertex]bool{}, map[*edge]bool{}}, map[*vertex]int{}}
	if l == LossNone {
		return s
	}
	for v := range values[*vertex](&g.queues) {
		if v.queue.Exclusive || v.queue.AutoDelete && v.queue.consumers > 0 {
			s.lose(v)
		}
	}
	return s
}

// lose marks a vertex with all that goes with it. Auto-delete exchanges are
// followed without recursion, since they may form a long chain.
func (s *lostSet) lose(v *vertex) {
	for todo := []*vertex{v}; len(todo) > 0; {
		v, todo = todo[len(todo)-1], todo[:len(todo)-1]
		if s.vertices[v] {
			continue
		}
		s.vertices[v] = true
		for _, e := range slices.Concat(v.bound[source], v.bound[destination]) {
			if s.edges[e] {
				continue
			}
			s.edges[e] = true
			from := e.ends[source]
			s.out[from]++
			if from.exchange != nil && from.exchange.AutoDelete && s.out[from] == len(from.bound[source]) {
				todo = append(todo, from)
			}
		}
	}
}
