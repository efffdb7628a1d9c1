package topology

import (
	"context"

	"github.com/warren-mq/warren/core"
)

// Apply makes t exist on the broker of conn and reports what it did. It
// creates and binds; it deletes nothing, and leaves what differs as it is.
// Applied again, it finds everything there. The outcome of each entity is in
// the comparison, which says Create for what was created:
//
//   - [Create], if [Compare] had not found it, and [Adopt], if it had; a binding
//     that an inventory shows is left alone, see [With];
//   - [Ensure], for a binding that was there or is there now;
//   - [Differs], with the differences that are known;
//   - [Refused], with the broker's reason.
//
// The error is that of [Compare], or an [*InterruptedError]; then the
// comparison says what was reached: the rest still has the action it would
// have had. If all was reached and something differs or was refused, it is an
// [*UnsettledError], with the whole comparison. Applying does not record anything:
// see [Recorder].
func Apply(ctx context.Context, conn *core.Conn, t Topology, options ...CompareOption) (*Comparison, error) {
	c, err := Compare(ctx, conn, t, options...)
	if err != nil {
		return nil, err
	}
	for _, phase := range c.phases() {
		var steps []Step
		change := map[core.Method]*Change{}
		for _, c := range phase {
			step := Step{Entity: c.Entity, Method: declaration(c.Entity)}
			steps, change[step.Method] = append(steps, step), c
		}
		results, err := Replay(ctx, conn, steps)
		for _, r := range results { // not one for each step, if it was interrupted
			c := change[r.Step.Method]
			if c.Unseen = false; r.Err != nil {
				c.refusal(r.Err)
			}
		}
		if err != nil {
			return c, err
		}
	}
	return c, c.Err()
}

// phases returns what is to be declared, exchanges first, then queues, then bindings.
func (c *Comparison) phases() [3][]*Change {
	var p [3][]*Change
	for i := range c.Changes {
		change := &c.Changes[i]
		if change.Action == Differs {
			continue
		}
		if _, binding := change.Entity.(Binding); binding && change.Action == Adopt {
			continue // under widths that the inventory does not show: it would become a second one
		}
		phase := bindings
		switch change.Entity.(type) {
		case Exchange:
			phase = exchanges
		case Queue:
			phase = queues
		}
		p[phase] = append(p[phase], change)
	}
	return p
}
