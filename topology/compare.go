package topology

import (
	"context"

	"github.com/warren-mq/warren/core"
)

// Inventory tells what a broker's virtual host has, with properties. Over
// AMQP that cannot be seen; the management API tells it, see package
// topology/management.
type Inventory interface {
	Topology(context.Context) (Topology, error)
}

// CompareOption changes how a comparison is made.
type CompareOption func(*comparing)

type comparing struct {
	inventory Inventory
	probe     bool
}

// With makes the comparison complete: it shows bindings, properties, unknown
// arguments, and what is there beyond the topology. A binding that is there with
// numbers of another width in its arguments counts as there: it routes the same.
func With(i Inventory) CompareOption { return func(c *comparing) { c.inventory = i } }

// Probe declares exchanges and queues that exist, so that the broker refuses
// those that differ, and again with what it said until it names no further
// difference. Nothing that exists changes, but one that is deleted at that
// very moment is created. Arguments that the broker does not know are not
// compared in this way.
func Probe() CompareOption { return func(c *comparing) { c.probe = true } }

// Compare tells how t stands to what the broker of conn has, and changes
// nothing there (but see [Probe]). Without an [Inventory] it looks with passive
// declarations, a few round trips, which show only whether an exchange or a
// queue exists. conn may be nil if there is an inventory and no [Probe].
//
// The errors are those of [Topology.Validate] and [Replay], and the inventory's.
func Compare(ctx context.Context, conn *core.Conn, t Topology, options ...CompareOption) (*Comparison, error) {
	var how comparing
	for _, o := range options {
		o(&how)
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	c, err := how.look(ctx, conn, t)
	if err == nil && how.probe {
		err = c.probe(ctx, conn)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (how comparing) look(ctx context.Context, conn *core.Conn, t Topology) (*Comparison, error) {
	if how.inventory != nil {
		have, err := how.inventory.Topology(ctx)
		if err != nil {
			return nil, err
		}
		c := compareWith(t, have)
		c.Warnings = append(t.Warnings(), t.unreachableIn(have)...)
		return c, nil
	}
	exchanges, err := exist(ctx, conn, t.Exchanges, func(e Exchange) core.Method {
		return &core.ExchangeDeclare{Exchange: e.Name, Type: Direct, Passive: true}
	})
	if err != nil {
		return nil, err
	}
	queues, err := exist(ctx, conn, t.Queues, func(q Queue) core.Method {
		return &core.QueueDeclare{Queue: q.Name, Passive: true}
	})
	if err != nil {
		return nil, err
	}
	unreachable, err := t.Unreachable(ctx, conn)
	if err != nil {
		return nil, err
	}
	c := compareSeen(t, exchanges, queues)
	c.Warnings = append(t.Warnings(), unreachable...)
	return c, nil
}

// exist looks which of the entities exist: true, unless the broker says that it has none.
func exist[E Exchange | Queue](ctx context.Context, conn *core.Conn, entities []E, passive func(E) core.Method) ([]bool, error) {
	there := make([]bool, len(entities))
	var steps []Step
	var at []int
	for i, e := range entities {
		if q, ok := any(e).(Queue); ok && q.Name == "" {
			continue // a new one each time
		}
		steps = append(steps, Step{Method: passive(e)})
		at = append(at, i)
	}
	missing, err := look(ctx, conn, steps, 0)
	for i, s := range steps {
		there[at[i]] = missing[s.Method] == nil
	}
	return there, err
}

// compareSeen compares with what is known to exist, and no more.
func compareSeen(t Topology, exchanges, queues []bool) *Comparison {
	c := &Comparison{}
	anew := map[vertexKey]bool{}
	for i, e := range t.Exchanges {
		anew[vertexKey{name: e.Name}] = !exchanges[i]
		c.Changes = append(c.Changes, seen(e, exchanges[i]))
	}
	for i, q := range t.Queues {
		anew[vertexKey{name: q.Name, queue: true}] = !queues[i]
		c.Changes = append(c.Changes, seen(q, queues[i]))
	}
	for _, b := range t.Bindings {
		from, to := ends(b)
		change := Change{Entity: b, Action: Ensure}
		if anew[from] || anew[to] {
			change.Action = Create
		}
		c.Changes = append(c.Changes, change)
	}
	return c
}

func seen(entity interface{ String() string }, exists bool) Change {
	if exists {
		return Change{Entity: entity, Action: Adopt, Unseen: true}
	}
	return Change{Entity: entity, Action: Create}
}
