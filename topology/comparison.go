package topology

import (
	"fmt"
	"strings"
)

// Action says how an entity stands between what is wanted and the broker.
type Action uint8

// The actions. [Compare] tells what is to be done, [Apply] what was done.
const (
	// Create: the broker does not have it.
	Create Action = iota + 1
	// Adopt: the broker has it, as it is wanted as far as could be seen: see
	// [Change.Unseen].
	Adopt
	// Ensure: it cannot be seen whether the broker has it; making sure of it
	// changes nothing if so. Bindings are like that over AMQP alone. (One whose
	// arguments have numbers of another width is another one to RabbitMQ, though it
	// routes the same.)
	Ensure
	// Differs: the broker has it otherwise. It is left as it is, for only
	// deleting it, with what it holds, would make room.
	Differs
	// Refused: the broker does not take it, for the reason in Change.Err.
	Refused
)

var actions = [...]struct{ sign, word string }{{}, {"+", "create"}, {"=", "adopt"}, {"?", "ensure"}, {"~", "differs"}, {"!", "refused"}}

// String returns the action in a word.
func (a Action) String() string {
	if int(a) < len(actions) {
		return actions[a].word
	}
	return fmt.Sprintf("action %d", uint8(a))
}

// Change is how one entity stands.
type Change struct {
	Entity      fmt.Stringer // an [Exchange], [Queue] or [Binding], as wanted
	Action      Action
	Differences []Difference // what [Differs]; RabbitMQ itself names only the first
	Unseen      bool         // it exists, but its properties were not seen
	Err         error        // why it was [Refused], or what the broker said to a difference
}

// Difference is one property in which an entity differs.
type Difference struct {
	Field string // as RabbitMQ names it: "durable", "type", "x-max-length"
	Want  string // "none" if there is to be no such argument
	Have  string // "none" if there is none
}

// String returns the difference in words.
func (d Difference) String() string { return fmt.Sprintf("%s is %s, want %s", d.Field, d.Have, d.Want) }

// String returns the change in one line: a sign, the entity, and the differences.
func (c Change) String() string {
	line := fmt.Sprintf("%s %-7s %s", actions[c.Action].sign, c.Action, c.Entity)
	switch {
	case len(c.Differences) > 0:
		var parts []string
		for _, d := range c.Differences {
			parts = append(parts, d.String())
		}
		line += ": " + strings.Join(parts, "; ")
	case c.Err != nil:
		line += ": " + c.Err.Error()
	case c.Action == Adopt && c.Unseen:
		line += " (properties not seen)"
	}
	return line
}

// Comparison is how a topology stands to a broker, or what became of it there.
type Comparison struct {
	// Changes has one for each entity: exchanges, queues, bindings, in the
	// order of the topology.
	Changes []Change
	// Extra is what the broker has beyond the topology, without predeclared
	// exchanges, exclusive queues and bindings of the default exchange. It is
	// known only from an [Inventory], and is never touched.
	Extra Topology
	// Warnings are those of [Topology.Warnings] for what was compared.
	Warnings []*Problem
}

// Count returns how many entities have that action.
func (c *Comparison) Count(a Action) int {
	n := 0
	for _, change := range c.Changes {
		if change.Action == a {
			n++
		}
	}
	return n
}

// Settled reports whether nothing is to be created and nothing differs or was refused.
func (c *Comparison) Settled() bool {
	return c.Count(Create)+c.Count(Differs)+c.Count(Refused) == 0
}

// String returns a line for each change, each extra entity and each warning, and a summary.
func (c *Comparison) String() string {
	var b strings.Builder
	for _, change := range c.Changes {
		fmt.Fprintln(&b, change)
	}
	for _, p := range c.Extra.Plan() {
		for _, s := range p.Steps {
			fmt.Fprintf(&b, "- extra   %s\n", s.Entity)
		}
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(&b, "* warning %s\n", w)
	}
	fmt.Fprintf(&b, "%d to create, %d to adopt, %d to make sure of, %d differ, %d refused, %d extra\n",
		c.Count(Create), c.Count(Adopt), c.Count(Ensure), c.Count(Differs), c.Count(Refused),
		len(c.Extra.Exchanges)+len(c.Extra.Queues)+len(c.Extra.Bindings))
	return b.String()
}
