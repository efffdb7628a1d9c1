package compare

import (
	"context"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// Apply makes t exist on the broker of conn and reports what it did. It
// creates and binds; it deletes nothing, and leaves what differs as it is.
// Applied again, it finds everything there. The comparison has the outcome of
// each entity:
//
//   - [ActionCreate], if [Compare] had not found it, and [ActionAdopt], if it had; a binding
//     that an inventory shows is left alone, see [With];
//   - [ActionEnsure], for a binding that was there or is there now;
//   - [ActionDiffers], with the differences that are known;
//   - [ActionRefused], with the broker's reason.
//
// Errors: those of [Compare], without a comparison; an [*InterruptedError], with a
// comparison in which what was not reached still has the action that it would have
// had; an [*UnsettledError], with the whole comparison, if something differs or was
// refused. Applying records nothing.
func Apply(ctx context.Context, conn *core.Conn, t topology.Topology, options ...Option) (*Comparison, error) {
	if conn == nil {
		return nil, errNoConn
	}
	c, err := Compare(ctx, conn, t, options...)
	if err != nil {
		return nil, err
	}
	for _, phase := range c.phases() {
		var steps []record.Step
		change := map[core.Method]*Change{}
		for _, c := range phase {
			step := record.Declare(c.Entity)
			steps, change[step.Method] = append(steps, step), c
		}
		results, err := record.Replay(ctx, conn, steps)
		for _, r := range results { // not one for each step, if it was interrupted
			c := change[r.Step.Method]
			if c.Unseen = false; r.Err != nil {
				c.refusal(r.Err)
			}
		}
		if err != nil {
			return c, interrupted(err)
		}
	}
	return c, c.Err()
}

// phases returns what is to be declared: exchanges, then queues, then bindings.
func (c *Comparison) phases() [][]*Change {
	phases := make([][]*Change, 3)
	for i := range c.Changes {
		change := &c.Changes[i]
		if change.Action == ActionDiffers {
			continue
		}
		phase := 0
		switch change.Entity.(type) {
		case topology.Queue:
			phase = 1
		case topology.Binding:
			if phase = 2; change.Action == ActionAdopt {
				continue // under widths that the inventory does not show: it would become a second one
			}
		}
		phases[phase] = append(phases[phase], change)
	}
	return phases
}

// InterruptedError is a comparison that was broken off: the connection died, or the context ended.
type InterruptedError struct {
	// InFlight are the entities that were asked for or declared, and not answered.
	InFlight []topology.Entity
	// Suspects are those of InFlight that may have made the broker close the connection, the likeliest first;
	// none if it does not blame one.
	Suspects []topology.Entity
	Err      error // why
}

// Error returns the cause and how many entities were in flight.
func (e *InterruptedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *InterruptedError) Unwrap() error { return e.Err }

// interrupted tells by entities what a replay tells by steps.
func interrupted(err error) error {
	replay, ok := errs.AsType[*record.InterruptedError](err)
	if !ok {
		return err
	}
	return &InterruptedError{entities(replay.InFlight), entities(replay.Suspects()), replay}
}

func entities(steps []record.Step) []topology.Entity {
	var all []topology.Entity
	for _, s := range steps {
		all = append(all, s.Entity)
	}
	return all
}
