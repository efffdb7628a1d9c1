package recovery

import (
	"context"

	"github.com/warren-mq/warren/topology"
)

// Recorder returns what is replayed on this connection; nil: nothing.
func (c *Connection) Recorder() *topology.Recorder { return c.cfg.Recorder }

// Resolve returns the present name of a queue that was once named queue: a
// server-named queue has another one on each connection.
func (c *Connection) Resolve(queue string) string {
	if c.cfg.Recorder == nil {
		return queue
	}
	return c.cfg.Recorder.Resolve(queue)
}

// Redeclare declares a recorded queue again on s, with its bindings and the
// exchanges through which messages reach it, for whoever found it gone while
// the connection lives. It reports whether the queue is recorded; the error is
// the first refusal, or the loss of the connection.
func (c *Connection) Redeclare(ctx context.Context, s *Session, queue string) (recorded bool, err error) {
	if c.cfg.Recorder == nil {
		return false, nil
	}
	for i := range c.cfg.Recorder.Plan() {
		steps := c.upstreamSteps(i, queue)
		results, lost := topology.Replay(ctx, s.Conn, steps)
		for _, r := range results {
			_, isQueue := r.Entity.(topology.Queue)
			recorded = recorded || isQueue
			switch now := r.Declared(); {
			case r.Err != nil && err == nil:
				err = r.Err
			case r.Err == nil && isQueue && now != r.Name:
				c.cfg.Recorder.Renamed(r.Name, now)
				c.Emit(Event{Kind: Renamed, Entity: r.Name, Name: now})
			}
		}
		if lost != nil {
			return recorded, lost
		}
	}
	return recorded, err
}

// upstreamSteps returns the steps of the i-th phase that bring queue back. The
// plan is made anew: the name may have changed in the phase before.
func (c *Connection) upstreamSteps(i int, queue string) []topology.Step {
	plan := c.cfg.Recorder.Plan()
	up := newUpstream(plan, node{name: c.Resolve(queue)})
	c.mu.Lock()
	defer c.mu.Unlock()
	var steps []topology.Step
	for _, step := range plan[i].Steps {
		if up.holds(step.Entity) && !c.quarantine.fatal(entityKey(step.Entity)) {
			steps = append(steps, step)
		}
	}
	return steps
}
