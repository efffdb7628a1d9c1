package topology

import (
	"errors"
	"fmt"
	"sync"

	"github.com/warren-mq/warren/core/wire"
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
	mode  Mode
	limit int

	mu      sync.Mutex // guards the following
	graph   *graph
	refused int
	expiry  expiry
}

// Mode says what a [Recorder] records.
type Mode uint8

// The modes.
const (
	// RecordAll: everything that is declared.
	RecordAll Mode = iota
	// RecordTransient: what dies with a connection or a broker, that is
	// exclusive, auto-delete and transient queues, auto-delete and transient
	// exchanges, and the bindings from and to these.
	RecordTransient
	// RecordOff: nothing.
	RecordOff
)

// DefaultLimit is how many entities a [Recorder] holds unless told otherwise.
const DefaultLimit = 250_000

// ErrFull: an entity was declared, but the [Recorder] holds as many as it may,
// so it will not come back after a loss. Delete what is not needed, mark it
// NoReplay, or raise the limit.
var ErrFull = errors.New("topology: recorder is full")

// RecorderOption configures a [Recorder].
type RecorderOption func(*Recorder)

// WithMode sets what is recorded; default [RecordAll].
func WithMode(m Mode) RecorderOption { return func(r *Recorder) { r.mode = m } }

// WithLimit sets how many entities are recorded at most; default
// [DefaultLimit], and anything below 1 means that.
func WithLimit(n int) RecorderOption {
	return func(r *Recorder) {
		if n > 0 {
			r.limit = n
		}
	}
}

// NewRecorder returns an empty recorder.
func NewRecorder(options ...RecorderOption) *Recorder {
	r := &Recorder{limit: DefaultLimit, graph: newGraph()}
	for _, o := range options {
		o(r)
	}
	return r
}

// Exchange records a declared exchange. Declaring it again keeps its place.
// The error is [ErrFull].
func (r *Recorder) Exchange(e Exchange) error {
	if e.Name == "" || reserved(e.Name) || !r.records(e.Transient || e.AutoDelete) {
		return nil
	}
	e.Args = e.Args.Clone()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.graph.find(vertexKey{name: e.Name}) == nil && r.full() {
		return errFull(e, r.limit)
	}
	r.graph.addExchange(e)
	return nil
}

// Queue records a declared queue. name is the one that the broker answered
// with, which differs from q.Name if the broker chose it. The error is [ErrFull].
func (r *Recorder) Queue(q Queue, name string) error { return r.QueueOf("", q, name) }

// QueueOf is [Recorder.Queue] for a client with several logical connections:
// it says on which of them the queue was declared. An exclusive queue is lost
// with that connection, and can only be declared on it.
func (r *Recorder) QueueOf(connection string, q Queue, name string) error {
	if name == "" || !r.records(q.Transient || q.Exclusive || q.AutoDelete) {
		return nil
	}
	rec := &queueRecord{Queue: q, serverNamed: q.Name == "", owner: connection, used: now()}
	rec.Name, rec.Args, rec.expires = name, q.Args.Clone(), expires(q.Args)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.graph.find(vertexKey{name: name, queue: true}) == nil {
		if rec.expires > 0 {
			r.expiry.added(r.graph, rec.used)
		}
		if r.full() {
			return errFull(rec.Queue, r.limit)
		}
	}
	r.graph.addQueue(rec)
	return nil
}

// Binding records a binding. Two that differ only by arguments are two. A
// queue without a name means the one declared last on the channel, which only
// the caller knows: give its name. The error is [ErrFull], or says that the
// binding has no destination or that its arguments cannot be encoded.
func (r *Recorder) Binding(b Binding) error {
	if r.mode == RecordOff {
		return nil
	}
	if b.Destination == "" {
		return fmt.Errorf("topology: %s: no destination", b)
	}
	args, err := encoded(b.Args)
	if err != nil {
		return fmt.Errorf("topology: %s: %w", b, err)
	}
	b.Args = b.Args.Clone()
	r.mu.Lock()
	defer r.mu.Unlock()
	b = r.resolved(b)
	from, to := ends(b)
	if r.mode == RecordTransient && r.graph.find(from) == nil && r.graph.find(to) == nil {
		return nil
	}
	if r.graph.findBinding(b, args) == nil && r.full() {
		return errFull(b, r.limit)
	}
	r.graph.addBinding(b, args)
	return nil
}

func (r *Recorder) records(transient bool) bool {
	return r.mode == RecordAll || r.mode == RecordTransient && transient
}

// full reports whether there is no room for one more, and counts it. The lock is held.
func (r *Recorder) full() bool {
	if r.graph.size() < r.limit {
		return false
	}
	r.refused++
	return true
}

func errFull(entity fmt.Stringer, limit int) error {
	return fmt.Errorf("%w: %s is declared but not recorded (limit %d)", ErrFull, entity, limit)
}

// encoded returns arguments as bytes, equal for equal tables; none for none.
func encoded(args Table) (string, error) {
	if len(args) == 0 {
		return "", nil
	}
	b, err := wire.AppendTable(nil, args)
	return string(b), err
}

// resolved returns b with the present name of its queue. The lock is held.
func (r *Recorder) resolved(b Binding) Binding {
	if !b.ToExchange {
		b.Destination = r.graph.resolve(b.Destination)
	}
	return b
}
