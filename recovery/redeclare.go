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

// Redeclare declares a recorded queue and its bindings again on s, for whoever
// found it gone while the connection lives. It reports whether the queue is
// recorded; the error is the first refusal, or the loss of the connection.
func (c *Connection) Redeclare(ctx context.Context, s *Session, queue string) (recorded bool, err error) {
	if c.cfg.Recorder == nil {
		return false, nil
	}
	for i := range c.cfg.Recorder.Plan() {
		steps := stepsOf(c.cfg.Recorder.Plan()[i], c.Resolve(queue)) // anew: the name may have changed
		results, err := topology.Replay(ctx, s.Conn, steps)
		for _, r := range results {
			_, isQueue := r.Entity.(topology.Queue)
			recorded = recorded || isQueue
			if r.Err != nil {
				return recorded, r.Err
			}
			if now := r.Declared(); isQueue && now != r.Name {
				c.cfg.Recorder.Renamed(r.Name, now)
				c.Emit(Event{Kind: Renamed, Entity: r.Name, Name: now})
			}
		}
		if err != nil {
			return recorded, err
		}
	}
	return recorded, nil
}

// stepsOf returns the steps of a phase that declare queue or bind it.
func stepsOf(phase topology.Phase, queue string) []topology.Step {
	var steps []topology.Step
	for _, step := range phase.Steps {
		switch e := step.Entity.(type) {
		case topology.Queue:
			if e.Name == queue {
				steps = append(steps, step)
			}
		case topology.Binding:
			if !e.ToExchange && e.Destination == queue {
				steps = append(steps, step)
			}
		}
	}
	return steps
}
