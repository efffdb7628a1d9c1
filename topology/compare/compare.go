package compare

import (
	"context"
	"errors"
	"slices"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
)

// Inventory tells what a broker's virtual host has, with properties. Over
// AMQP that cannot be seen; the management API tells it, see package
// topology/management.
type Inventory interface {
	Topology(context.Context) (topology.Topology, error)
}

// Option changes how a comparison is made.
type Option func(*comparing)

type comparing struct {
	inventory Inventory
	probe     bool
}

// With makes the comparison complete: it shows bindings, properties, unknown
// arguments, and what is there beyond the topology. A binding that is there with
// numbers of another width in its arguments counts as there: it routes the same.
func With(i Inventory) Option { return func(c *comparing) { c.inventory = i } }

// Probe declares exchanges and queues that exist, so that the broker refuses
// those that differ, and again with what it said until it names no further
// difference. Nothing that exists changes, but one that is deleted at that
// very moment is created. Arguments that the broker does not know are not
// compared in this way.
func Probe() Option { return func(c *comparing) { c.probe = true } }

// Compare tells how t stands to what the broker of conn has, and changes
// nothing there (but see [Probe]). Without an [Inventory] it looks with passive
// declarations, a few round trips, which show only whether an exchange or a
// queue exists. conn may be nil if there is an inventory and no [Probe]. A nil option is as if it were left out.
//
// The errors are those of [topology.Topology.Validate], the inventory's, an [*InterruptedError], and a
// [*core.ValidationError] where a connection is needed and missing.
func Compare(ctx context.Context, conn *core.Conn, t topology.Topology, options ...Option) (*Comparison, error) {
	var how comparing
	for _, o := range options {
		if o != nil {
			o(&how)
		}
	}
	if conn == nil && (how.inventory == nil || how.probe) {
		return nil, errNoConn
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

var errNoConn = &core.ValidationError{Method: "compare", Err: errors.New("no connection; only an inventory does without")}

func (how comparing) look(ctx context.Context, conn *core.Conn, t topology.Topology) (*Comparison, error) {
	if how.inventory != nil {
		have, err := how.inventory.Topology(ctx)
		if err != nil {
			return nil, err
		}
		c := compareWith(t, have)
		c.Warnings = append(t.Warnings(), unreachableIn(have, t)...)
		return c, nil
	}
	there, err := exist(ctx, conn, t)
	if err != nil {
		return nil, err
	}
	unreachable, err := Unreachable(ctx, conn, t)
	if err != nil {
		return nil, err
	}
	c := compareSeen(t, there)
	c.Warnings = append(t.Warnings(), unreachable...)
	return c, nil
}

// exist looks which exchanges and queues of t exist: all but those that the broker says it does not have, and
// queues without a name, which are new ones each time.
func exist(ctx context.Context, conn *core.Conn, t topology.Topology) (map[end]bool, error) {
	list, there := ends(t)
	unnamed := end{queue: true}
	delete(there, unnamed)
	absent, err := missing(ctx, conn, slices.DeleteFunc(list, func(e end) bool { return e == unnamed }))
	for e := range absent {
		delete(there, e)
	}
	return there, err
}

// compareSeen compares with what is known to exist, and no more.
func compareSeen(t topology.Topology, there map[end]bool) *Comparison {
	c := &Comparison{}
	see := func(entity topology.Entity, e end) {
		change := Change{Entity: entity, Action: ActionCreate}
		if there[e] {
			change.Action, change.Unseen = ActionAdopt, true
		}
		c.Changes = append(c.Changes, change)
	}
	for _, e := range t.Exchanges {
		see(e, end{name: e.Name})
	}
	for _, q := range t.Queues {
		see(q, end{name: q.Name, queue: true})
	}
	_, own := ends(t)
	for _, b := range t.Bindings {
		change := Change{Entity: b, Action: ActionEnsure}
		for _, e := range []end{{name: b.Source}, {name: b.Destination, queue: !b.ToExchange}} {
			if own[e] && !there[e] {
				change.Action = ActionCreate
			}
		}
		c.Changes = append(c.Changes, change)
	}
	return c
}
