package session

import (
	"context"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// lossPlan returns what has to be declared on a new connection. After a
// connection on which everything was declared that is what the loss took: the
// broker is asked, in a few round trips, which exchanges and queues it still
// has, and spared the rest. Otherwise it is everything.
func (s *supervision) lossPlan(conn *core.Conn) ([]record.Phase, error) {
	if s.c.cfg.Recorder == nil || s.cause == nil || s.blind {
		s.blind = false
		return s.phases(), nil
	}
	loss := max(record.LossConnection, s.presumedLoss())
	if !s.complete || s.c.cfg.ReplayAll {
		loss = record.LossEverything
	}
	ctx, cancel := context.WithTimeoutCause(s.c.ctx, s.c.cfg.ReplayTimeout, core.ErrTimeout)
	defer cancel()
	phases, err := s.c.cfg.Recorder.Survey(ctx, conn, loss)
	if err != nil {
		// Nothing was changed, and the same would be asked again. If that is what the broker closes connections
		// over it must not be: the replay finds out over which entity.
		s.blind = core.AsError(conn.Err()).OverRequest()
		return nil, err
	}
	s.complete = false // until this replay is
	took := 0
	for _, phase := range phases {
		for _, step := range phase.Steps {
			if queue, ok := step.Entity.(topology.Queue); ok {
				took++
				if step.Missing {
					s.tookQueue(queue)
				}
			}
		}
	}
	if loss == record.LossConnection {
		s.report.Survived = s.c.cfg.Recorder.Stats().Queues - took
	}
	return s.withDoubtful(phases), nil
}

// tookQueue notes that a queue is gone that should have survived.
func (s *supervision) tookQueue(queue topology.Queue) {
	s.c.recreated(queue.Name)
	s.report.Recreated = append(s.report.Recreated, queue.String())
	s.c.Emit(recovery.Event{Kind: recovery.EventRecreated, Entity: queue.String()})
}

// withDoubtful adds what was refused or skipped since the last plan, which may be
// missing though both of its ends are there, or different from what was asked.
func (s *supervision) withDoubtful(phases []record.Phase) []record.Phase {
	defer clear(s.doubtful)
	if len(s.doubtful) == 0 {
		return phases
	}
	for i, phase := range s.phases() {
		planned := map[string]bool{}
		for _, step := range phases[i].Steps {
			planned[entityKey(step.Entity)] = true
		}
		for _, step := range phase.Steps {
			if key := entityKey(step.Entity); s.doubtful[key] && !planned[key] {
				phases[i].Steps = append(phases[i].Steps, step)
			}
		}
	}
	return phases
}
