package sessiontest

import (
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// Recorded returns a recorder with an exchange x, the queues, and a binding for each.
func Recorded(t *testing.T, queues ...topology.Queue) *record.Recorder {
	t.Helper()
	r := record.NewRecorder()
	r.Exchange(topology.Exchange{Name: "x"})
	for _, q := range queues {
		name := q.Name
		if name == "" {
			name = "amq.gen-first"
		}
		r.Queue(q, name)
		r.Binding(topology.Binding{Source: "x", Destination: name, RoutingKey: "k"})
	}
	return r
}

// DeclaresQueue reports whether m declares the queue, not passively.
func DeclaresQueue(m wire.Method, queue string) bool {
	d, ok := m.(*wire.QueueDeclare)
	return ok && d.Queue == queue && !d.Passive
}

// Queues returns a queue for each of the names, which spaces part.
func Queues(names string) []topology.Queue {
	var all []topology.Queue
	for name := range strings.FieldsSeq(names) {
		all = append(all, topology.Queue{Name: name})
	}
	return all
}

// Entities names the entities of failures.
func Entities(failures []recovery.Failure) string {
	var all []string
	for _, f := range failures {
		all = append(all, f.Entity)
	}
	return strings.Join(all, ", ")
}

// BindsTo reports whether m is a binding of the queue.
func BindsTo(m wire.Method, queue string) bool {
	b, ok := m.(*wire.QueueBind)
	return ok && b.Queue == queue
}
