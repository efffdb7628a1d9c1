package session

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/hook"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// restore replays the topology on a new connection, phase by phase, and then
// waits for the gate. Entities that are refused are quarantined; only the
// loss of the connection, or its being closed, is an error.
func (s *supervision) restore(conn *core.Conn) error {
	begun, asked := time.Now(), s.checksAsked()
	phases, err := s.lossPlan(conn)
	if err != nil {
		return err
	}
	s.report.Phases["survey"] = time.Since(begun)
	for i := range phases { // before any queue has a new name, by which the plan does not know its bindings
		phases[i].Steps = s.admitted(phases[i].Steps)
	}
	for _, phase := range phases {
		begun := time.Now()
		if err := s.replayPhase(conn, s.withoutHeld(phase.Steps)); err != nil {
			return err
		}
		s.report.Phases[phase.Name] = time.Since(begun)
	}
	s.complete = true
	s.checked(asked)
	if s.c.cfg.Gate == nil {
		return nil
	}
	ctx, cancel := s.during(conn)
	defer cancel()
	_, err = hook.Call(func() (struct{}, error) { return struct{}{}, s.c.cfg.Gate(ctx) })
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &gateError{err}
}

func (s *supervision) phases() []record.Phase {
	if s.c.cfg.Recorder == nil {
		return nil
	}
	return s.c.cfg.Recorder.Plan()
}

// admitted leaves out what is known to close connections, or not to be answered.
func (s *supervision) admitted(steps []record.Step) []record.Step {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if len(s.c.quarantine.entries) == 0 {
		return steps
	}
	return slices.DeleteFunc(slices.Clone(steps), func(step record.Step) bool {
		return s.c.quarantine.inOwnTime(entityKey(step.Entity))
	})
}

// during returns a context that ends when conn dies or the connection is closed.
func (s *supervision) during(conn *core.Conn) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(s.c.ctx)
	stop := make(chan struct{})
	go runCancelOn(conn, cancel, stop)
	return ctx, func() { close(stop); cancel(nil) }
}

// runCancelOn passes the death of conn on to cancel, until stop.
func runCancelOn(conn *core.Conn, cancel context.CancelCauseFunc, stop <-chan struct{}) {
	select {
	case <-conn.Done():
		cancel(conn.Err())
	case <-stop:
	}
}

// replayPhase declares what is not under suspicion at once, then the rest one
// by one, so that the next death of a connection has one possible offender.
func (s *supervision) replayPhase(conn *core.Conn, steps []record.Step) error {
	sound, suspects := s.suspects.split(steps)
	var others, own []record.Step
	for _, step := range sound {
		if holdable(step) {
			own = append(own, step)
		} else {
			others = append(others, step)
		}
	}
	if _, err := s.replay(conn, others, record.Replayer{}); err != nil {
		return err
	}
	if err := s.replayOwn(conn, own); err != nil {
		return err
	}
	_, err := s.replay(conn, suspects, record.Replayer{Channels: 1, Window: 1})
	return err
}

// replayOwn declares exclusive queues that the lost connection may still hold:
// one first, if there are many, and all others if that was not locked. If
// several are locked the rest is held without being tried.
func (s *supervision) replayOwn(conn *core.Conn, steps []record.Step) error {
	if len(steps) > heldRefusals {
		if locked, err := s.replay(conn, steps[:1], record.Replayer{}); err != nil {
			return err
		} else if locked != nil {
			s.hold(steps[1:], locked)
			return nil
		}
		steps = steps[1:]
	}
	_, err := s.replay(conn, steps, record.Replayer{MaxRefused: heldRefusals})
	return err
}

// replay declares steps and sorts the results. It returns the last refusal of
// a queue that is locked, if there is one. If there are more refusals than
// allowed, the rest is held, or, if none was for a lock, declared all the same.
func (s *supervision) replay(conn *core.Conn, steps []record.Step, how record.Replayer) (locked, err error) {
	if len(steps) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeoutCause(s.c.ctx, s.c.cfg.ReplayTimeout, core.ErrTimeout)
	defer cancel()
	results, err := how.Replay(ctx, conn, steps)
	defer s.sorted()
	answered := map[core.Method]bool{}
	for _, r := range results {
		answered[r.Step.Method] = true
		if r.Err == nil {
			s.declared(r)
			continue
		}
		if errors.Is(r.Err, core.ErrResourceLocked) {
			locked = r.Err
		}
		r.Step.Entity = r.Entity // a binding may have followed its queue to another name
		if err := s.refused(conn, r.Step, r.Err); err != nil {
			return locked, err
		}
	}
	switch {
	case err == nil:
		return locked, nil
	case conn.Err() != nil || !errors.Is(err, record.ErrTooManyRefused):
		return locked, s.blame(conn, err)
	}
	rest := slices.DeleteFunc(slices.Clone(steps), func(step record.Step) bool { return answered[step.Method] || !step.Wanted() })
	if locked != nil {
		s.hold(rest, locked)
		return locked, nil
	}
	return s.replay(conn, rest, record.Replayer{})
}

// sorted follows up on the results of a replay.
func (s *supervision) sorted() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.healed {
		s.c.quarantine.nudge(time.Now())
		s.healed = false
	}
	s.c.updateLocked()
}

// hold has queues wait that are locked like others.
func (s *supervision) hold(steps []record.Step, locked error) {
	for _, step := range steps {
		s.c.mu.Lock()
		known := s.c.quarantine.find(entityKey(step.Entity)) != nil
		s.c.quarantine.hold(step.Entity, locked, time.Now())
		s.c.mu.Unlock()
		if !known {
			s.report.Failed = append(s.report.Failed, recovery.Failure{Entity: step.Entity.String(), Err: locked})
			s.c.Emit(recovery.Event{Kind: recovery.EventQuarantined, Entity: step.Entity.String(), Err: locked})
		}
	}
}

// declared notes that an entity exists.
func (s *supervision) declared(r record.Result) {
	s.report.Declared++
	s.released(r)
	now := r.QueueName()
	if now == r.Name || r.Name == "" {
		return
	}
	s.c.renamed(r.Name, now)
	s.report.Renamed[r.Name] = now
	s.c.Emit(recovery.Event{Kind: recovery.EventRenamed, Entity: r.Name, Name: now})
}

// released releases an entity from quarantine, if it is there.
func (s *supervision) released(r record.Result) {
	s.c.mu.Lock()
	if len(s.c.quarantine.entries) == 0 && len(s.suspects) == 0 {
		s.c.mu.Unlock()
		return
	}
	key := entityKey(r.Entity)
	delete(s.suspects, key)
	p := s.c.quarantine.find(key)
	if p == nil {
		s.c.mu.Unlock()
		return
	}
	if q, ok := p.Entity.(topology.Queue); ok && (s.c.session != nil || s.c.quarantine.held.has(q.Name)) {
		s.freed[cmp.Or(r.QueueName(), q.Name)] = p // it stays in quarantine until its bindings are there too
		s.c.mu.Unlock()
		return
	}
	s.c.mu.Unlock()
	s.release(p)
}

// release releases an entry that is declared.
func (s *supervision) release(p *entry) {
	s.c.mu.Lock()
	s.c.quarantine.release(p.key)
	s.healed = true
	s.c.mu.Unlock()
	s.c.Emit(recovery.Event{Kind: recovery.EventRestored, Entity: p.Entity.String(), Attempt: p.Attempts})
}

// refused puts an entity into quarantine, or does what the application decides.
func (s *supervision) refused(conn *core.Conn, step record.Step, err error) error {
	key := entityKey(step.Entity)
	s.c.mu.Lock()
	r := s.c.quarantine.refuse(step.Entity, err, time.Now())
	s.c.mu.Unlock()
	f := recovery.Failure{Entity: step.Entity.String(), Err: err}
	switch s.decide(conn, r) {
	case recovery.DecisionAdopt:
		if s.adopt(conn, step) {
			s.report.Adopted = append(s.report.Adopted, f.Entity)
			s.released(record.Result{Entity: step.Entity})
			return nil
		}
	case recovery.DecisionSkip:
		s.report.Skipped = append(s.report.Skipped, f)
		s.c.mu.Lock()
		s.c.quarantine.release(key)
		s.c.mu.Unlock()
		s.doubtful[key] = true // on the next connection
		return nil
	case recovery.DecisionFail:
		return &refusedError{f}
	}
	s.report.Failed = append(s.report.Failed, f)
	s.c.Emit(recovery.Event{Kind: recovery.EventQuarantined, Entity: f.Entity, Err: err, Attempt: r.Attempts})
	return nil
}

// adopt reports whether an entity exists, whatever its arguments.
func (s *supervision) adopt(conn *core.Conn, step record.Step) bool {
	look, ok := passive(step)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeoutCause(s.c.ctx, s.c.cfg.ReplayTimeout, core.ErrTimeout)
	defer cancel()
	results, err := record.Replay(ctx, conn, []record.Step{look})
	return err == nil && len(results) == 1 && results[0].Err == nil
}

// refusedError gives the connection up because of an entity.
type refusedError struct{ recovery.Failure }

// gateError gives the connection up because its gate will not open.
type gateError struct{ error }

func (e *gateError) Unwrap() error { return e.error }

func isFinal(err error) bool {
	_, refused := errs.AsType[*refusedError](err)
	_, shut := errs.AsType[*gateError](err)
	return refused || shut
}
