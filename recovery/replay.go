package recovery

import (
	"context"
	"errors"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
)

// restore replays the topology on a new connection, phase by phase, and then
// waits for the gate. Entities that are refused are quarantined; only the
// loss of the connection, or its being closed, is an error.
func (s *supervision) restore(conn *core.Conn) error {
	for i := range s.phases() {
		phase := s.phases()[i] // anew: names may have changed in the phase before
		if len(phase.Steps) == 0 {
			continue
		}
		begun := time.Now()
		if err := s.replay(conn, phase.Steps); err != nil {
			return err
		}
		s.report.Phases[phase.Name] = time.Since(begun)
	}
	if s.cfg.Gate == nil {
		return nil
	}
	ctx, cancel := s.during(conn)
	defer cancel()
	return s.cfg.Gate(ctx)
}

func (s *supervision) phases() []topology.Phase {
	if s.cfg.Recorder == nil {
		return nil
	}
	return s.cfg.Recorder.Plan()
}

// during returns a context that ends when conn dies or the connection is closed.
func (s *supervision) during(conn *core.Conn) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(s.ctx)
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

// replay declares steps and sorts the results.
func (s *supervision) replay(conn *core.Conn, steps []topology.Step) error {
	ctx, cancel := context.WithTimeoutCause(s.ctx, s.cfg.ReplayTimeout, core.ErrTimeout)
	defer cancel()
	results, err := topology.Replay(ctx, conn, steps)
	for _, r := range results {
		if r.Err != nil {
			s.quarantineEntity(Failure{r.Entity.String(), r.Err})
			continue
		}
		s.report.Declared++
		s.renamed(r)
	}
	return err
}

func (s *supervision) renamed(r topology.Result) {
	now := r.Declared()
	if now == r.Name || r.Name == "" {
		return
	}
	s.cfg.Recorder.Renamed(r.Name, now)
	s.report.Renamed[r.Name] = now
	s.Emit(Event{Kind: Renamed, Entity: r.Name, Name: now})
}

func (s *supervision) quarantineEntity(f Failure) {
	s.mu.Lock()
	s.quarantine = append(s.quarantine, f)
	s.update()
	s.mu.Unlock()
	s.report.Failed = append(s.report.Failed, f)
	s.Emit(Event{Kind: Quarantined, Entity: f.Entity, Err: f.Err})
}

// retryQuarantine is how long after a refusal an entity is tried again, at first.
const retryQuarantine = 500 * time.Millisecond

// watch waits until conn is lost or to be dropped, and meanwhile tries again
// what is quarantined.
func (s *supervision) watch(conn *core.Conn) error {
	wait := retryQuarantine
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		var retry <-chan time.Time
		if s.quarantined() > 0 {
			retry = t.C
		}
		select {
		case <-conn.Done():
			return conn.Err()
		case reason := <-s.force:
			return because(reason)
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case <-retry:
			if err := s.retryQuarantined(conn); err != nil {
				return err
			}
			wait = min(2*wait, 30*time.Second)
			t.Reset(wait)
		}
	}
}

func because(reason error) error {
	if reason == nil {
		return errors.New("reconnect asked for")
	}
	return reason
}

func (s *supervision) quarantined() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.quarantine)
}

// retryQuarantined declares the quarantined entities again, as far as they
// are still recorded.
func (s *supervision) retryQuarantined(conn *core.Conn) error {
	s.mu.Lock()
	before := map[string]bool{}
	for _, f := range s.quarantine {
		before[f.Entity] = true
	}
	s.quarantine = nil
	s.mu.Unlock()
	for i := range s.phases() {
		var steps []topology.Step
		for _, step := range s.phases()[i].Steps {
			if before[step.Entity.String()] {
				steps = append(steps, step)
			}
		}
		if err := s.replay(conn, steps); err != nil {
			return err
		}
	}
	s.mu.Lock()
	for _, f := range s.quarantine {
		delete(before, f.Entity)
	}
	s.update()
	s.mu.Unlock()
	for entity := range before {
		s.Emit(Event{Kind: Restored, Entity: entity})
	}
	return nil
}
