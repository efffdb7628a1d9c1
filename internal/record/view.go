package record

import (
	"container/list"

	"github.com/warren-mq/warren/topology"
)

// Stats returns the present counts.
func (r *Recorder) Stats() topology.RecordStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return topology.RecordStats{
		Exchanges: r.graph.exchanges.Len(), Queues: r.graph.queues.Len(), Bindings: r.graph.bindings.Len(),
		Limit: r.limit, Refused: r.refused, Expired: r.expiry.total,
	}
}

// Len returns how many entities are recorded.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.graph.size()
}

// ExchangeType returns the type of a recorded exchange, "" if it is not known.
func (r *Recorder) ExchangeType(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.graph.find(vertexKey{name: name}); v != nil && v.exchange != nil {
		return v.exchange.Declare().Type
	}
	return ""
}

// Snapshot returns a copy of what is recorded, under present names, in the
// order of declaration.
func (r *Recorder) Snapshot() topology.Topology {
	r.mu.Lock()
	defer r.mu.Unlock()
	var t topology.Topology
	for v := range values[*vertex](&r.graph.exchanges) {
		t.Exchanges = append(t.Exchanges, *v.exchange)
	}
	for v := range values[*vertex](&r.graph.queues) {
		t.Queues = append(t.Queues, v.queue.Queue)
	}
	for e := range values[*edge](&r.graph.bindings) {
		t.Bindings = append(t.Bindings, e.binding())
	}
	return t.Clone()
}

// values iterates over a list of T.
func values[T any](l *list.List) func(yield func(T) bool) {
	return func(yield func(T) bool) {
		for e := l.Front(); e != nil; e = e.Next() {
			if !yield(e.Value.(T)) {
				return
			}
		}
	}
}

// Lookup returns what is recorded of a queue, under its present or an earlier name.
func (r *Recorder) Lookup(queue string) (topology.Queue, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.queueLocked(queue); q != nil {
		return topology.Topology{Queues: []topology.Queue{q.Queue}}.Clone().Queues[0], true
	}
	return topology.Queue{}, false
}
