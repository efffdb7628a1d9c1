package record

import "github.com/warren-mq/warren/topology"

// DeleteExchange forgets an exchange that the application deleted, and every
// binding from or to it.
func (r *Recorder) DeleteExchange(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(vertexKey{name: name})
}

// DeleteQueue forgets a queue that the application deleted, and its bindings.
func (r *Recorder) DeleteQueue(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(vertexKey{name: r.graph.resolve(name), queue: true})
}

func (r *Recorder) removeLocked(k vertexKey) {
	if v := r.graph.vertices[k]; v != nil {
		r.graph.remove(v, deleted)
	}
}

// DeleteBinding forgets a binding that the application removed, and with the
// last one of an auto-delete exchange the exchange.
func (r *Recorder) DeleteBinding(b topology.Binding) {
	r.withBinding(b, func(e *edge) { r.graph.unbind(e, deleted) })
}

// withBinding calls f under the lock if the binding is recorded.
func (r *Recorder) withBinding(b topology.Binding, f func(*edge)) {
	args, err := encoded(b.Arguments)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.graph.findBinding(r.resolvedLocked(b), args); e != nil {
		f(e)
	}
}

// Forget makes sure that what t names is not declared again, and leaves it on
// the broker as it is. Bindings go with their queue or exchange.
func (r *Recorder) Forget(t topology.Topology) {
	for _, b := range t.Bindings {
		r.withBinding(b, func(e *edge) { r.graph.cut(e, forgotten) })
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range t.Queues {
		r.forgetLocked(vertexKey{name: r.graph.resolve(q.Name), queue: true})
	}
	for _, e := range t.Exchanges {
		r.forgetLocked(vertexKey{name: e.Name})
	}
}

func (r *Recorder) forgetLocked(k vertexKey) {
	v := r.graph.vertices[k]
	if v == nil {
		return
	}
	r.graph.exclude(v, forgotten)
	for side := range v.bound {
		for len(v.bound[side]) > 0 {
			r.graph.cut(v.bound[side][0], forgotten)
		}
	}
	r.graph.prune(v)
}

// ConsumerAdded counts a consumer of a queue, for auto-delete and x-expires.
func (r *Recorder) ConsumerAdded(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.queueLocked(queue); q != nil {
		q.consumers++
	}
}

// ConsumerRemoved forgets an auto-delete queue with its last consumer. Call
// it when the application cancels, not when a connection is lost.
func (r *Recorder) ConsumerRemoved(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queueLocked(queue)
	if q == nil {
		return
	}
	q.consumers = max(0, q.consumers-1)
	q.used = now()
	if q.AutoDelete && q.consumers == 0 {
		r.graph.remove(r.graph.vertices[vertexKey{name: q.Name, queue: true}], unused)
	}
}

// queueLocked returns the record of a queue, or nil.
func (r *Recorder) queueLocked(name string) *queueRecord {
	if v := r.graph.find(vertexKey{name: r.graph.resolve(name), queue: true}); v != nil {
		return v.queue
	}
	return nil
}

// Renamed notes that a server-named queue came back under another name: its
// bindings follow, and [Recorder.Resolve] finds it under its earlier names,
// that is the first and the latest 15.
func (r *Recorder) Renamed(old, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.graph.find(vertexKey{name: old, queue: true})
	if v == nil || old == name || name == "" {
		return
	}
	if other := r.graph.vertices[vertexKey{name: name, queue: true}]; other != nil {
		r.graph.remove(other, forgotten)
	}
	r.graph.rename(v, name)
}

// Resolve returns the present name of a queue that was once named name.
func (r *Recorder) Resolve(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.graph.resolve(name)
}
