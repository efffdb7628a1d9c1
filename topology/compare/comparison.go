package compare

import (
	"fmt"
	"strings"

	"github.com/warren-mq/warren/topology"
)

// Action says how an entity stands between what is wanted and the broker.
type Action uint8

// The actions. [Compare] tells what is to be done, [Apply] what was done.
const (
	// ActionCreate: the broker does not have it.
	ActionCreate Action = iota + 1
	// ActionAdopt: the broker has it, and no difference was seen: see [Change.Unseen].
	ActionAdopt
	// ActionEnsure: it cannot be seen whether the broker has it; making sure of it
	// changes nothing if so. Bindings are like that over AMQP alone. (One whose
	// arguments have numbers of another width is another one to RabbitMQ, though it
	// routes the same.)
	ActionEnsure
	// ActionDiffers: the broker has it with other properties. It is left as it is: only
	// deleting it, with what it holds, would make room.
	ActionDiffers
	// ActionRefused: the broker does not take it, for the reason in Change.Err.
	ActionRefused
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
	Entity      topology.Entity // as wanted
	Action      Action
	Differences []topology.Difference // what [ActionDiffers]; RabbitMQ itself names only the first
	Unseen      bool                  // it exists, but its properties were not seen
	Err         error                 // why it was [ActionRefused], or what the broker said to a difference
}

// String returns the change in one line: a sign, the entity, and the differences.
func (c Change) String() string {
	line := fmt.Sprintf("%s %-7s %s", actions[c.Action].sign, c.Action, c.Entity)
	switch why := c.why(); {
	case why != "":
		line += ": " + why
	case c.Action == ActionAdopt && c.Unseen:
		line += " (properties not seen)"
	}
	return line
}

// outcome says in words what differs, or why it was refused.
func (c Change) outcome() string {
	if why := c.why(); why != "" {
		return c.Action.String() + ": " + why
	}
	return c.Action.String()
}

func (c Change) why() string {
	if len(c.Differences) == 0 {
		if c.Err != nil {
			return c.Err.Error()
		}
		return ""
	}
	var parts []string
	for _, d := range c.Differences {
		parts = append(parts, d.String())
	}
	return strings.Join(parts, "; ")
}

// Comparison is how a topology stands to a broker, or what became of it there.
type Comparison struct {
	// Changes has one for each entity: exchanges, queues, bindings, in the
	// order of the topology.
	Changes []Change
	// Extra is what the broker has beyond the topology, without predeclared
	// exchanges, exclusive queues and bindings of the default exchange. It is
	// known only from an [Inventory], and is never touched.
	Extra topology.Topology
	// Warnings are those of [topology.Topology.Warnings] and [topology.Topology.Unreachable] for what was compared.
	Warnings []*topology.Problem
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
	return c.Count(ActionCreate)+c.Count(ActionDiffers)+c.Count(ActionRefused) == 0
}

// Err returns an [*UnsettledError] with what differs or was refused, nil if nothing.
func (c *Comparison) Err() error {
	e := &UnsettledError{Of: len(c.Changes)}
	for _, change := range c.Changes {
		if change.Action == ActionDiffers || change.Action == ActionRefused {
			e.Changes = append(e.Changes, change)
		}
	}
	if len(e.Changes) == 0 {
		return nil
	}
	return e
}

// UnsettledError names the entities that differ on the broker or were refused.
// errors.Is finds the broker's reasons, such as [core.ErrPreconditionFailed].
type UnsettledError struct {
	Changes []Change // those that differ or were refused
	Of      int      // how many entities were wanted
}

// Error names the first entities and what is wrong with each.
func (e *UnsettledError) Error() string {
	const most = 3
	var parts []string
	for _, c := range e.Changes[:min(most, len(e.Changes))] {
		parts = append(parts, fmt.Sprintf("%s %s", c.Entity, c.outcome()))
	}
	if more := len(e.Changes) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("topology: %d of %d entities are not as wanted: %s", len(e.Changes), e.Of, strings.Join(parts, "; "))
}

// Unwrap returns the broker's reasons.
func (e *UnsettledError) Unwrap() []error {
	var errs []error
	for _, c := range e.Changes {
		if c.Err != nil {
			errs = append(errs, c.Err)
		}
	}
	return errs
}

// String returns a line for each change, each extra entity and each warning, and a summary.
func (c *Comparison) String() string {
	var b strings.Builder
	for _, change := range c.Changes {
		fmt.Fprintln(&b, change)
	}
	for e := range c.Extra.Entities() {
		fmt.Fprintf(&b, ". extra   %s (left as it is)\n", e)
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(&b, "* warning %s\n", w)
	}
	fmt.Fprintf(&b, "%d to create, %d to adopt, %d to make sure of, %d differ, %d refused, %d extra\n",
		c.Count(ActionCreate), c.Count(ActionAdopt), c.Count(ActionEnsure), c.Count(ActionDiffers), c.Count(ActionRefused),
		len(c.Extra.Exchanges)+len(c.Extra.Queues)+len(c.Extra.Bindings))
	return b.String()
}
