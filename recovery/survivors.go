package recovery

import (
	"context"
	"errors"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
)

// How many queues are looked for at first, and how many may be missing before
// the others are declared without a look: each miss costs a channel.
const (
	firstLook  = 64
	maxMissing = 8
)

// lookFirst looks for the queues that should have survived the loss of the
// connection, and returns the steps that are left to do: a queue that is still
// there needs none, and one that is gone has lost its messages, which is
// reported once it is declared again.
func (s *supervision) lookFirst(conn *core.Conn, steps []topology.Step) ([]topology.Step, error) {
	if s.cause == nil {
		return steps, nil // nothing was lost yet
	}
	var looks, rest []topology.Step
	for _, step := range steps {
		if look, ok := s.lasting(step); ok {
			looks = append(looks, look)
		} else {
			rest = append(rest, step)
		}
	}
	alive := map[string]bool{}
	for missing, n := 0, firstLook; len(looks) > 0 && missing < maxMissing; n *= 4 {
		n = min(n, len(looks))
		gone, err := s.look(conn, looks[:n], alive)
		if err != nil {
			return nil, err
		}
		missing += gone
		looks = looks[n:]
	}
	if len(alive) == 0 {
		return steps, nil
	}
	rest = rest[:0]
	for _, step := range steps { // in the order of declaration
		if !alive[entityKey(step.Entity)] {
			rest = append(rest, step)
		}
	}
	return rest, nil
}

// lasting returns the look for a queue that outlives connections.
func (s *supervision) lasting(step topology.Step) (topology.Step, bool) {
	m, ok := step.Method.(*core.QueueDeclare)
	if !ok || m.Passive || m.Exclusive || s.doubtful[entityKey(step.Entity)] {
		return step, false
	}
	return passive(step)
}

// look notes in alive which of the queues exist, and returns how many do not.
func (s *supervision) look(conn *core.Conn, looks []topology.Step, alive map[string]bool) (gone int, err error) {
	ctx, cancel := context.WithTimeoutCause(s.ctx, s.cfg.ReplayTimeout, core.ErrTimeout)
	defer cancel()
	results, err := topology.Replay(ctx, conn, looks)
	for _, r := range results {
		switch {
		case r.Err == nil:
			alive[entityKey(r.Entity)] = true
			s.report.Survived++
		case errors.Is(r.Err, core.ErrNotFound):
			gone++
			s.report.Recreated = append(s.report.Recreated, r.Entity.String())
			s.Emit(Event{Kind: Recreated, Entity: r.Entity.String()})
		}
	}
	return gone, err
}
