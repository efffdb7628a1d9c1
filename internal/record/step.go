package record

import (
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
)

// Step is one declaration of a replay.
type Step struct {
	Entity topology.Entity
	Method core.Method
	// Else, if set, is what to do when Method finds nothing (404), or what a lost
	// connection of the client's own still holds (405).
	Else core.Method
	// Name is the present name of a queue that is declared with an empty one.
	Name string
	// Missing: the broker was asked and does not have it. A queue comes back empty.
	Missing bool

	recorder *Recorder // nil: the step is not made from a record
	fate     *fate     // of that record
	edge     *edge     // the record, if it is a binding
}

// Declare returns the step that declares an entity.
func Declare(entity topology.Entity) Step {
	switch e := entity.(type) {
	case topology.Exchange:
		return Step{Entity: e, Method: e.Declare()}
	case topology.Queue:
		return Step{Entity: e, Method: e.Declare(), Name: e.Name}
	default:
		return Step{Entity: e, Method: e.(topology.Binding).Bind()}
	}
}

// LookForExchange returns the step that looks whether an exchange exists.
func LookForExchange(name string) Step {
	return Step{
		Entity: topology.Exchange{Name: name}, Method: &core.ExchangeDeclare{Exchange: name, Type: topology.Direct, Passive: true},
	}
}

// LookForQueue returns the step that looks whether a queue exists.
func LookForQueue(name string) Step {
	return Step{Entity: topology.Queue{Name: name}, Method: &core.QueueDeclare{Queue: name, Passive: true}, Name: name}
}

// Wanted reports whether the entity is still recorded: neither deleted by the
// application nor forgotten since the plan was made.
func (s Step) Wanted() bool { return s.fate == nil || s.fate.Load() == live }

// LookFirst returns the step for a connection on which the entity may be there
// already: an exclusive queue that the broker named is lost with its
// connection, and so declared without looking for it, but on a connection that
// lives a second one would be bound beside the first without a reader.
func (s Step) LookFirst() Step {
	if m, ok := s.Method.(*core.QueueDeclare); ok && m.Queue == "" && s.Name != "" {
		s.Method, s.Else = &core.QueueDeclare{Queue: s.Name, Passive: true}, m
	}
	return s
}

// present returns the step of a binding under the name that its queue has now.
func (s Step) present() Step {
	if s.edge == nil {
		return s
	}
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	if b := s.edge.binding(); b.Destination != s.Entity.(topology.Binding).Destination {
		s.Entity, s.Method = b, b.Bind()
	}
	return s
}

// inverse returns what takes the step back when it is no longer wanted, nil
// if that is not called for: the entity was only to be forgotten, or has been
// declared again. name is a queue's present name.
func (s Step) inverse(name string) core.Method {
	f := s.fate.Load()
	if f != deleted && f != unused || s.recorder.has(s.Entity, name) {
		return nil
	}
	switch e := s.Entity.(type) {
	case topology.Exchange:
		return &core.ExchangeDelete{Exchange: e.Name, IfUnused: f == unused}
	case topology.Queue:
		return &core.QueueDelete{Queue: name, IfUnused: f == unused}
	case topology.Binding:
		return e.Unbind()
	}
	return nil
}

// has reports whether an entity is recorded, a queue under name.
func (r *Recorder) has(entity topology.Entity, name string) bool {
	if b, ok := entity.(topology.Binding); ok {
		found := false
		r.withBinding(b, func(*edge) { found = true })
		return found
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := entity.(topology.Exchange); ok {
		return r.graph.find(vertexKey{name: e.Name}) != nil
	}
	return r.graph.find(vertexKey{name: name, queue: true}) != nil
}
