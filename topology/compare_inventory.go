package topology

import (
	"fmt"
	"maps"
	"slices"
)

// compareWith compares with everything that the broker has.
func compareWith(want, have Topology) *Comparison {
	c := &Comparison{}
	exchanges, queues, bindings := map[string]Exchange{}, map[string]Queue{}, map[string]bool{}
	for _, e := range have.Exchanges {
		exchanges[e.Name] = e
	}
	for _, q := range have.Queues {
		queues[q.Name] = q
	}
	for _, b := range have.Bindings {
		bindings[identity(b)] = true
	}
	for _, e := range want.Exchanges {
		there, ok := exchanges[e.Name]
		c.compared(e, ok, func() []Difference { return exchangeDifferences(e, there) })
	}
	for _, q := range want.Queues {
		there, ok := queues[q.Name]
		c.compared(q, ok && q.Name != "", func() []Difference { return queueDifferences(q, there) })
	}
	for _, b := range want.Bindings {
		c.compared(b, bindings[identity(b)], func() []Difference { return nil })
	}
	c.Extra = extra(want, have)
	return c
}

func (c *Comparison) compared(entity fmt.Stringer, exists bool, differences func() []Difference) {
	change := Change{Entity: entity, Action: Create}
	if exists {
		change.Action = Adopt
		if change.Differences = differences(); len(change.Differences) > 0 {
			change.Action = Differs
		}
	}
	c.Changes = append(c.Changes, change)
}

// identity tells bindings apart as far as an inventory can. RabbitMQ keeps two
// that differ in the width of a number, but routes the same by both.
func identity(b Binding) string {
	return fmt.Sprintf("%q %q %v %q %s", b.Source, b.Destination, b.ToExchange, b.Key, listed(onWire(b.Args)))
}

func exchangeDifferences(want, have Exchange) []Difference {
	var d differences
	w, h := want.Declare(), have.Declare()
	d.compare("type", w.Type, h.Type)
	d.compare("durable", w.Durable, h.Durable)
	d.compare("auto_delete", w.AutoDelete, h.AutoDelete)
	d.compare("internal", w.Internal, h.Internal)
	d.arguments(want.Args, have.Args)
	return d
}

// queueDifferences takes a wanted queue without a type for one of the virtual
// host's default type, whichever that is.
func queueDifferences(want, have Queue) []Difference {
	var d differences
	w, h := want.Declare(), have.Declare()
	if w.Arguments["x-queue-type"] == nil {
		h.Arguments = h.Arguments.Clone()
		delete(h.Arguments, "x-queue-type")
	}
	d.compare("durable", w.Durable, h.Durable)
	d.compare("exclusive", w.Exclusive, h.Exclusive)
	d.compare("auto_delete", w.AutoDelete, h.AutoDelete)
	d.arguments(w.Arguments, h.Arguments)
	return d
}

type differences []Difference

func (d *differences) compare(field string, want, have any) {
	if listed(want) != listed(have) {
		*d = append(*d, Difference{field, shown(want), shown(have)})
	}
}

// shown writes a value as RabbitMQ does, without quotes.
func shown(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return listed(v)
}

func (d *differences) arguments(want, have Table) {
	want, have = onWire(want), onWire(have)
	keys := map[string]bool{}
	for k := range want {
		keys[k] = true
	}
	for k := range have {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		w, wanted := want[k]
		h, there := have[k]
		switch {
		case !wanted:
			*d = append(*d, Difference{k, none, shown(h)})
		case !there:
			*d = append(*d, Difference{k, shown(w), none})
		case k == maxAge && sameAge(w, h): // whether the broker thinks so too, it says when asked
		default:
			d.compare(k, w, h)
		}
	}
}

const none = "none"

// extra returns what is there and not wanted.
func extra(want, have Topology) Topology {
	wanted := map[string]bool{}
	for _, e := range want.Exchanges {
		wanted[e.String()] = true
	}
	for _, q := range want.Queues {
		wanted[q.String()] = true
	}
	for _, b := range want.Bindings {
		wanted[identity(b)] = true
	}
	var t Topology
	for _, e := range have.Exchanges {
		if !wanted[e.String()] && e.Name != "" && !reserved(e.Name) {
			t.Exchanges = append(t.Exchanges, e)
		}
	}
	exclusive := map[string]bool{}
	for _, q := range have.Queues {
		exclusive[q.Name] = q.Exclusive
		if !wanted[q.String()] && !q.Exclusive {
			t.Queues = append(t.Queues, q)
		}
	}
	for _, b := range have.Bindings {
		if !wanted[identity(b)] && b.Source != "" && (b.ToExchange || !exclusive[b.Destination]) && !reservedOnly(b) {
			t.Bindings = append(t.Bindings, b)
		}
	}
	return t
}

// reservedOnly reports whether both ends are the broker's own.
func reservedOnly(b Binding) bool {
	return b.ToExchange && reserved(b.Source) && reserved(b.Destination)
}
