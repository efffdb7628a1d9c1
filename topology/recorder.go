package topology

import (
	"maps"
	"reflect"
	"slices"
	"sync"
)

// Recorder remembers what was declared and not deleted, in the order of
// declaration, so that it can be declared again. It belongs to a client, not
// to a channel: closing the channel that declared something forgets nothing.
// All methods are safe for concurrent use.
//
// What goes away by itself is forgotten with its cause: bindings with their
// queue or exchange, an auto-delete exchange with its last binding, an
// auto-delete queue with its last consumer.
type Recorder struct {
	mu        sync.Mutex // guards the following
	exchanges []Exchange
	queues    []*queueRecord
	bindings  []Binding
	current   map[string]string // a server-named queue's earlier names → its name now
}

// queueRecord is a queue and what belongs to it.
type queueRecord struct {
	Queue            // Name is the current one
	serverNamed bool // declare it with an empty name
	consumers   int  // for auto-delete
}

// NewRecorder returns an empty recorder.
func NewRecorder() *Recorder { return &Recorder{current: map[string]string{}} }

// Exchange records a declared exchange. Declaring it again keeps its place.
func (r *Recorder) Exchange(e Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Name == "" || reserved(e.Name) {
		return // always there
	}
	e.Args = e.Args.Clone()
	if i := r.findExchange(e.Name); i >= 0 {
		r.exchanges[i] = e
		return
	}
	r.exchanges = append(r.exchanges, e)
}

// Queue records a declared queue. name is the one that the broker answered
// with, which differs from q.Name if the broker chose it.
func (r *Recorder) Queue(q Queue, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := &queueRecord{Queue: q, serverNamed: q.Name == ""}
	rec.Name = name
	rec.Args = q.Args.Clone()
	if i := r.findQueue(name); i >= 0 {
		rec.consumers = r.queues[i].consumers
		r.queues[i] = rec
		return
	}
	r.queues = append(r.queues, rec)
}

// Binding records a binding. Two that differ only by arguments are two.
func (r *Recorder) Binding(b Binding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b.Args = b.Args.Clone()
	if !slices.ContainsFunc(r.bindings, b.same) {
		r.bindings = append(r.bindings, b)
	}
}

func (b Binding) same(other Binding) bool {
	return b.Source == other.Source && b.Destination == other.Destination && b.ToExchange == other.ToExchange &&
		b.Key == other.Key && (len(b.Args)+len(other.Args) == 0 || reflect.DeepEqual(b.Args, other.Args))
}

// DeleteExchange forgets an exchange and every binding from or to it.
func (r *Recorder) DeleteExchange(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deleteExchange(name)
}

func (r *Recorder) deleteExchange(name string) {
	if i := r.findExchange(name); i >= 0 {
		r.exchanges = slices.Delete(r.exchanges, i, i+1)
	}
	r.unbind(func(b Binding) bool { return b.Source == name || b.ToExchange && b.Destination == name })
}

// DeleteQueue forgets a queue and its bindings.
func (r *Recorder) DeleteQueue(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deleteQueue(r.resolve(name))
}

func (r *Recorder) deleteQueue(name string) {
	if i := r.findQueue(name); i >= 0 {
		r.queues = slices.Delete(r.queues, i, i+1)
	}
	maps.DeleteFunc(r.current, func(_, now string) bool { return now == name })
	r.unbind(func(b Binding) bool { return !b.ToExchange && b.Destination == name })
}

// DeleteBinding forgets a binding.
func (r *Recorder) DeleteBinding(b Binding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !b.ToExchange {
		b.Destination = r.resolve(b.Destination)
	}
	r.unbind(b.same)
}

// unbind forgets the bindings that match, and with the last binding of an
// auto-delete exchange the exchange, and so on.
func (r *Recorder) unbind(match func(Binding) bool) {
	var sources []string
	r.bindings = slices.DeleteFunc(r.bindings, func(b Binding) bool {
		if match(b) {
			sources = append(sources, b.Source)
			return true
		}
		return false
	})
	for _, source := range sources {
		i := r.findExchange(source)
		if i < 0 || !r.exchanges[i].AutoDelete {
			continue
		}
		if !slices.ContainsFunc(r.bindings, func(b Binding) bool { return b.Source == source }) {
			r.deleteExchange(source)
		}
	}
}

// ConsumerAdded counts a consumer of a queue, for auto-delete.
func (r *Recorder) ConsumerAdded(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.findQueue(r.resolve(queue)); i >= 0 {
		r.queues[i].consumers++
	}
}

// ConsumerRemoved forgets an auto-delete queue with its last consumer. Call
// it when the application cancels, not when a connection is lost.
func (r *Recorder) ConsumerRemoved(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.findQueue(r.resolve(queue))
	if i < 0 {
		return
	}
	rec := r.queues[i]
	if rec.consumers--; rec.AutoDelete && rec.consumers <= 0 {
		r.deleteQueue(rec.Name)
	}
}

// Renamed notes that a server-named queue came back under another name: its
// bindings follow, and [Recorder.Resolve] finds it under every earlier name.
func (r *Recorder) Renamed(old, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.findQueue(old)
	if i < 0 || old == name {
		return
	}
	r.queues[i].Name = name
	for j, b := range r.bindings {
		if !b.ToExchange && b.Destination == old {
			r.bindings[j].Destination = name
		}
	}
	for earlier, now := range r.current {
		if now == old {
			r.current[earlier] = name
		}
	}
	r.current[old] = name
}

// Resolve returns the present name of a queue that was once named name.
func (r *Recorder) Resolve(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resolve(name)
}

func (r *Recorder) resolve(name string) string {
	if now, ok := r.current[name]; ok {
		return now
	}
	return name
}

// Len returns how many entities are recorded.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.exchanges) + len(r.queues) + len(r.bindings)
}

// Snapshot returns a copy of what is recorded, under present names.
func (r *Recorder) Snapshot() Topology {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := Topology{Exchanges: r.exchanges, Bindings: r.bindings}
	for _, q := range r.queues {
		t.Queues = append(t.Queues, q.Queue)
	}
	return t.Clone()
}

func (r *Recorder) findExchange(name string) int {
	return slices.IndexFunc(r.exchanges, func(e Exchange) bool { return e.Name == name })
}

func (r *Recorder) findQueue(name string) int {
	return slices.IndexFunc(r.queues, func(q *queueRecord) bool { return q.Name == name })
}
