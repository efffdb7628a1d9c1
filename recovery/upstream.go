package recovery

import "github.com/warren-mq/warren/topology"

// node is an exchange or a queue.
type node struct {
	exchange bool
	name     string
}

// upstream selects the entities through which messages reach some nodes: the
// nodes themselves, the bindings to them, the exchanges at the other end, and
// so on. An auto-delete exchange vanishes with its last binding, so whoever
// finds a queue gone must expect all of that to be gone too.
type upstream map[node]bool

// newUpstream returns the upstream of nodes in a plan.
func newUpstream(plan []topology.Phase, nodes ...node) upstream {
	into := map[node][]node{}
	for _, phase := range plan {
		for _, step := range phase.Steps {
			if b, ok := step.Entity.(topology.Binding); ok {
				to := node{b.ToExchange, b.Destination}
				into[to] = append(into[to], node{true, b.Source})
			}
		}
	}
	u := upstream{}
	for len(nodes) > 0 {
		n := nodes[len(nodes)-1]
		nodes = nodes[:len(nodes)-1]
		if !u[n] {
			u[n] = true
			nodes = append(nodes, into[n]...)
		}
	}
	return u
}

// holds reports whether an entity belongs to the upstream.
func (u upstream) holds(entity any) bool {
	switch e := entity.(type) {
	case topology.Exchange:
		return u[node{true, e.Name}]
	case topology.Queue:
		return u[node{false, e.Name}]
	case topology.Binding:
		return u[node{e.ToExchange, e.Destination}]
	}
	return false
}
