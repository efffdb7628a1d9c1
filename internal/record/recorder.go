package record

import (
	"fmt"
	"sync"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/rabbitmq"
	"github.com/warren-mq/warren/topology"
)

// Recorder remembers what was declared and not deleted, in the order of
// declaration, so that it can be declared again. It belongs to a client and
// is shared by its connections, not to a channel: closing the channel that
// declared something forgets nothing, and what one connection deletes no
// other brings back, also when it is just being replayed.
// All methods are safe for concurrent use; none does any I/O.
//
// Record after the broker's answer. What goes away by itself is forgotten
// with its cause: bindings with their queue or exchange, an auto-delete
// exchange with its last binding, an auto-delete queue with its last
// consumer, a queue with x-expires when it was unused for that long. The
// predeclared exchanges are never recorded, bindings to them are.
type Recorder struct {
	mode  topology.RecordMode
	limit int

	mu      sync.Mutex // guards the following
	graph   *graph
	refused int
	expiry  expiry
}

// RecorderOption configures a [Recorder].
type RecorderOption func(*Recorder)

// WithMode sets what is recorded; default [topology.RecordModeAll].
func WithMode(m topology.RecordMode) RecorderOption { return func(r *Recorder) { r.mode = m } }

// WithLimit sets how many entities are recorded at most; default
// [topology.DefaultRecordLimit], and anything below 1 means that.
func WithLimit(n int) RecorderOption {
	return func(r *Recorder) {
		if n > 0 {
			r.limit = n
		}
	}
}

// NewRecorder returns an empty recorder.
func NewRecorder(options ...RecorderOption) *Recorder {
	r := &Recorder{limit: topology.DefaultRecordLimit, graph: newGraph()}
	for _, o := range options {
		o(r)
	}
	return r
}

// Record records a declared entity; queue is what [Recorder.Queue] wants for a name.
func (r *Recorder) Record(entity topology.Entity, queue string) error {
	switch e := entity.(type) {
	case topology.Exchange:
		return r.Exchange(e)
	case topology.Queue:
		return r.Queue(e, queue)
	default:
		return r.Binding(e.(topology.Binding))
	}
}

// Exchange records a declared exchange. Declaring it again keeps its place.
// The error is [topology.ErrFull].
func (r *Recorder) Exchange(e topology.Exchange) error {
	if e.Name == "" || rabbitmq.Reserved(e.Name) || !r.records(e.Transient || e.AutoDelete) {
		return nil
	}
	e.Arguments = e.Arguments.Clone()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.graph.find(vertexKey{name: e.Name}) == nil && r.fullLocked() {
		return errFull(e, r.limit)
	}
	r.graph.addExchange(e)
	return nil
}

// Queue records a declared queue. name is the one that the broker answered
// with, which differs from q.Name if the broker chose it. The error is [topology.ErrFull].
func (r *Recorder) Queue(q topology.Queue, name string) error {
	if name == "" || !r.records(q.Transient || q.Exclusive || q.AutoDelete) {
		return nil
	}
	rec := &queueRecord{Queue: q, serverNamed: q.Name == "", used: now()}
	rec.Name, rec.Arguments, rec.expires = name, q.Arguments.Clone(), expires(q.Arguments)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.graph.find(vertexKey{name: name, queue: true}) == nil {
		if rec.expires > 0 {
			r.expiry.added(r.graph, rec.used)
		}
		if r.fullLocked() {
			return errFull(rec.Queue, r.limit)
		}
	}
	r.graph.addQueue(rec)
	return nil
}

// Binding records a binding. Two that differ only by arguments are two. A
// queue without a name means the one declared last on the channel, which only
// the caller knows: give its name. The error is [topology.ErrFull], or says that the
// binding has no destination or that its arguments cannot be encoded.
func (r *Recorder) Binding(b topology.Binding) error {
	if r.mode == topology.RecordModeOff {
		return nil
	}
	if b.Destination == "" {
		return fmt.Errorf("topology: %s: no destination", b)
	}
	args, err := encoded(b.Arguments)
	if err != nil {
		return fmt.Errorf("topology: %s: %w", b, err)
	}
	b.Arguments = b.Arguments.Clone()
	r.mu.Lock()
	defer r.mu.Unlock()
	b = r.resolvedLocked(b)
	from, to := ends(b)
	if r.mode == topology.RecordModeTransient && r.graph.find(from) == nil && r.graph.find(to) == nil {
		return nil
	}
	if r.graph.findBinding(b, args) == nil && r.fullLocked() {
		return errFull(b, r.limit)
	}
	r.graph.addBinding(b, args)
	return nil
}

func (r *Recorder) records(transient bool) bool {
	return r.mode == topology.RecordModeAll || r.mode == topology.RecordModeTransient && transient
}

// fullLocked reports whether there is no room for one more, and counts it.
func (r *Recorder) fullLocked() bool {
	if r.graph.size() < r.limit {
		return false
	}
	r.refused++
	return true
}

func errFull(entity topology.Entity, limit int) error {
	return fmt.Errorf("%w: %s is declared but not recorded (limit %d)", topology.ErrFull, entity, limit)
}

// encoded returns arguments as bytes, equal for equal tables; none for none.
func encoded(args topology.Table) (string, error) {
	if len(args) == 0 {
		return "", nil
	}
	b, err := wire.AppendTable(nil, args)
	return string(b), err
}

// resolvedLocked returns b with the present name of its queue.
func (r *Recorder) resolvedLocked(b topology.Binding) topology.Binding {
	if !b.ToExchange {
		b.Destination = r.graph.resolve(b.Destination)
	}
	return b
}
