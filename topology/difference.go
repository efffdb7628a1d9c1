package topology

import (
	"fmt"
	"maps"
	"slices"

	"github.com/warren-mq/warren/internal/rabbitmq"
)

// Difference is one property in which an entity differs.
type Difference struct {
	Field string // as RabbitMQ names it: "durable", "type", "x-max-length"
	Want  string // "none" if there is to be no such argument
	Have  string // "none" if there is none
}

// String returns the difference in words, times and sizes also in a common unit.
func (d Difference) String() string {
	have, want := measured(d.Field, d.Have), measured(d.Field, d.Want)
	if have != d.Have && have[len(d.Have):] == want[len(d.Want):] {
		return fmt.Sprintf("%s is %s, want %s: the same, but RabbitMQ compares how it is written", d.Field, d.Have, want)
	}
	return fmt.Sprintf("%s is %s, want %s", d.Field, have, want)
}

// Differences returns the properties in which an exchange that is there differs from e, in the order
// in which RabbitMQ compares them. Arguments are compared as its management API shows them, without
// the widths of numbers.
func (e Exchange) Differences(there Exchange) []Difference {
	var d differences
	w, h := e.Declare(), there.Declare()
	d.compare("type", w.Type, h.Type)
	d.compare("durable", w.Durable, h.Durable)
	d.compare("auto_delete", w.AutoDelete, h.AutoDelete)
	d.compare("internal", w.Internal, h.Internal)
	d.arguments(e.Arguments, there.Arguments)
	return d
}

// Differences is [Exchange.Differences] for queues. A queue without a type is one of the virtual host's
// default type, whichever that is.
func (q Queue) Differences(there Queue) []Difference {
	var d differences
	w, h := q.Declare(), there.Declare()
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
	if rabbitmq.Listed(want) != rabbitmq.Listed(have) {
		*d = append(*d, Difference{field, shown(want), shown(have)})
	}
}

// shown writes a value as RabbitMQ does, without quotes.
func shown(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return rabbitmq.Listed(v)
}

func (d *differences) arguments(want, have Table) {
	want, have = rabbitmq.OnWire(want), rabbitmq.OnWire(have)
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
