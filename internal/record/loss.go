package record

import "slices"

// Scope is how much was lost.
type Scope uint8

// The scopes, each including those before it.
const (
	// LostChannel: one channel, with the consumers on it.
	LostChannel Scope = iota
	// LostConnection: a connection, while the broker kept running.
	LostConnection
	// LostBroker: the broker was restarted with its disk.
	LostBroker
	// LostEverything: nothing is known about what the next broker holds.
	LostEverything
)

// Loss says what was lost.
type Loss struct {
	Scope Scope
	// Connection is the logical connection that was lost, as it was given to
	// [Recorder.QueueOf]: the exclusive queues of others still live.
	Connection string
	// Consumers counts, by queue, the consumers that were lost. An auto-delete
	// queue goes with its last one. Nil means none for [LostChannel], and all
	// that are counted for the other scopes.
	Consumers map[string]int
}

// Lost returns what has to be declared again after a loss, in the order of
// [Recorder.Plan], and nothing that still lives: no second server-named queue
// beside one that survived.
//
//   - With a channel go its consumers, and with the last one of an auto-delete
//     queue the queue.
//   - With a connection go also its exclusive queues.
//   - With a broker go also transient queues and exchanges.
//   - Bindings go with either end, and auto-delete exchanges with the last
//     binding, and so on.
//
// It looks and changes nothing: what is lost stays recorded.
func (r *Recorder) Lost(l Loss) []Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.Scope == LostEverything {
		return r.plan(notOthers(l.Connection))
	}
	return r.plan(r.graph.lost(l))
}

// notOthers selects all but the exclusive queues of other connections.
type notOthers string

func (c notOthers) hasVertex(v *vertex) bool {
	return v.queue == nil || !v.queue.Exclusive || v.queue.owner == string(c)
}

func (c notOthers) hasEdge(e *edge) bool { return c.hasVertex(e.ends[destination]) }

// lostSet is what a loss takes.
type lostSet struct {
	subset
	out map[*vertex]int // lost bindings by their source
}

func (g *graph) lost(l Loss) *lostSet {
	s := &lostSet{subset{map[*vertex]bool{}, map[*edge]bool{}}, map[*vertex]int{}}
	consumers := map[string]int{}
	for name, n := range l.Consumers {
		consumers[g.resolve(name)] += n
	}
	for v := range values[*vertex](&g.queues) {
		if v.queue.dies(l, consumers[v.name]) {
			s.lose(v)
		}
	}
	if l.Scope < LostBroker {
		return s
	}
	for v := range values[*vertex](&g.exchanges) {
		if v.exchange.Transient {
			s.lose(v)
		}
	}
	return s
}

// dies reports whether a loss that includes so many of the queue's consumers
// takes the queue.
func (q *queueRecord) dies(l Loss, consumers int) bool {
	if q.Exclusive && l.Scope >= LostConnection { // it has consumers on its own connection only
		return l.Connection == q.owner
	}
	if l.Scope >= LostBroker && q.Transient {
		return true
	}
	if l.Consumers == nil && l.Scope >= LostConnection {
		consumers = q.consumers
	}
	return q.AutoDelete && q.consumers > 0 && consumers >= q.consumers
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
