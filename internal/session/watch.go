package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// watch waits until conn is lost or to be dropped, and meanwhile tries again
// what is quarantined and renews what expires.
func (s *supervision) watch(conn *core.Conn) error {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		var chore <-chan time.Time
		if at, ok := s.nextChore(); ok {
			t.Reset(time.Until(at))
			chore = t.C
		}
		select {
		case <-conn.Done():
			return conn.Err()
		case reason := <-s.c.force:
			s.asked = true
			return because(reason)
		case <-s.c.reviews:
		case r := <-s.c.resumptions:
			s.c.Emit(recovery.Event{Kind: recovery.EventResumed, Report: r, Endpoint: r.Endpoint})
		case <-s.c.ctx.Done():
			return context.Cause(s.c.ctx)
		case <-chore:
			if err := s.chores(conn, time.Now()); err != nil {
				return err
			}
		}
	}
}

func because(reason error) error {
	if reason == nil {
		return errors.New("reconnect asked for")
	}
	return reason
}

// nextChore returns when there is something to do; false: never.
func (s *supervision) nextChore() (time.Time, bool) {
	s.c.mu.Lock()
	at, ok := s.c.quarantine.next()
	s.c.mu.Unlock()
	for _, other := range []time.Time{s.renewAt, s.checkAt()} {
		if !other.IsZero() && (!ok || other.Before(at)) {
			at, ok = other, true
		}
	}
	return at, ok
}

func (s *supervision) chores(conn *core.Conn, now time.Time) error {
	if !s.renewAt.IsZero() && !s.renewAt.After(now) {
		s.renewSecret(conn)
	}
	err := s.retryQuarantined(conn, now)
	if err == nil {
		err = s.checkNow(conn, now)
	}
	if err == nil || conn.Err() != nil || s.c.ctx.Err() != nil || isFinal(err) {
		return err
	}
	// There was no channel left, or no answer: no reason to take the connection from those whom it serves.
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.quarantine.putOff(time.Now())
	s.c.updateLocked()
	return nil
}

// retryQuarantined declares the quarantined entities that are due, if
// they are still recorded, and before a binding whose ends were missing those ends.
func (s *supervision) retryQuarantined(conn *core.Conn, now time.Time) error {
	s.c.mu.Lock()
	due := s.c.quarantine.due(now)
	s.c.mu.Unlock()
	s.hookTime, s.report = s.c.cfg.ReplayTimeout, newReport() // nobody reads it; it must not grow
	if err := s.retryHeld(conn, now); err != nil || len(due) == 0 {
		return err
	}
	recorded := map[*entry]bool{}
	phases := s.phases()
	ends := s.missingEnds(due)
	for i := range phases {
		if len(s.report.Renamed) > 0 { // bindings are planned by present names
			phases = s.phases()
		}
		var steps []record.Step
		for _, step := range phases[i].Steps {
			p := s.quarantined(step)
			if due[p] {
				recorded[p] = true
			}
			if s.isDue(conn, step, p, due[p], ends) {
				steps = append(steps, step.LookFirst())
			}
		}
		if _, err := s.replay(conn, s.withoutHeld(steps), record.Replayer{}); err != nil {
			return err
		}
	}
	if err := s.rebind(conn); err != nil {
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for p := range due {
		if !recorded[p] { // deleted meanwhile
			s.c.quarantine.release(p.key)
		}
	}
	s.c.updateLocked()
	return nil
}

// rebind makes the bindings once more of queues that have come back late, with
// what they need. Whatever was bound while a declaration was not answered may have
// been another queue of that name, which the broker has taken away meanwhile:
// one that was deleted with its consumer, on a node that was cut off. With its last
// binding went an auto-delete exchange.
func (s *supervision) rebind(conn *core.Conn) error {
	freed := s.freed
	s.freed = map[string]*entry{}
	if len(freed) == 0 {
		return nil
	}
	var queues topology.Topology
	for name := range freed {
		queues.Queues = append(queues.Queues, topology.Queue{Name: name})
	}
	for i, phase := range s.c.cfg.Recorder.Upstream(queues) {
		if i == record.PhaseQueues { // they are there
			continue
		}
		if _, err := s.replay(conn, s.withoutHeld(s.admitted(phase.Steps)), record.Replayer{}); err != nil {
			return err
		}
	}
	for _, p := range freed {
		s.release(p)
	}
	s.sorted()
	return nil
}

// retryHeld declares the queues that are held, if it is time, and the bindings
// of those that came free, and has their consumers started.
func (s *supervision) retryHeld(conn *core.Conn, now time.Time) error {
	s.c.mu.Lock()
	held := &s.c.quarantine.held
	before, due := len(held.queues), !held.due.After(now)
	s.c.mu.Unlock()
	if before == 0 || !due {
		return nil
	}
	defer s.startFreed(before)
	// 1st: the queues, all together or, once it cannot be the lost connection any more, each.
	phases := s.phases()
	queues, presumed := s.heldInTurn(phases[record.PhaseQueues].Steps, now)
	var err error
	if presumed {
		err = s.replayOwn(conn, queues)
	} else {
		_, err = s.replay(conn, queues, record.Replayer{})
	}
	if err != nil {
		return err
	}
	// 2nd: their bindings.
	freed := s.freed
	s.freed = map[string]*entry{}
	var bindings []record.Step
	for _, step := range phases[record.PhaseBindings].Steps {
		if b := step.Entity.(topology.Binding); !b.ToExchange && freed[b.Destination] != nil {
			bindings = append(bindings, step)
		}
	}
	if _, err := s.replay(conn, bindings, record.Replayer{}); err != nil {
		return err
	}
	for _, p := range freed {
		s.release(p)
	}
	s.sorted()
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	held.ended(len(held.queues) < before, time.Now())
	return nil
}

// startFreed has the consumers started of queues that are no longer held, if
// there are fewer than before, whether they are there or refused for another reason.
func (s *supervision) startFreed(before int) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if len(s.c.quarantine.held.queues) < before {
		s.c.lookAgainLocked()
	}
	s.c.updateLocked()
}

// heldInTurn returns the steps of the queues that are held, after those that
// were deleted meanwhile are let go, and whether the lock can still be that of
// the lost connection.
func (s *supervision) heldInTurn(steps []record.Step, now time.Time) (turn []record.Step, presumed bool) {
	recorded := map[string]bool{}
	for _, step := range steps {
		recorded[entityKey(step.Entity)] = true
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for key := range s.c.quarantine.held.queues {
		if !recorded[key] {
			s.c.quarantine.release(key)
		}
	}
	return s.c.quarantine.held.inTurn(steps), s.c.quarantine.held.presumed(now)
}

// withoutHeld leaves out the bindings of queues that are held.
func (s *supervision) withoutHeld(steps []record.Step) []record.Step {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return slices.DeleteFunc(steps, func(step record.Step) bool { return s.c.quarantine.held.needsHeld(step.Entity) })
}

// isDue reports whether step, an entity that may be the entry p, is to be declared.
func (s *supervision) isDue(conn *core.Conn, step record.Step, p *entry, due bool, ends map[string]bool) bool {
	switch {
	case p == nil:
		return len(ends) > 0 && ends[entityKey(step.Entity)]
	case due && p.Reason == recovery.ReasonFatal:
		return s.harmless(conn, step)
	}
	return due
}

// quarantined returns the entry that an entity is, nil if it is none.
func (s *supervision) quarantined(step record.Step) *entry {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.c.quarantine.find(entityKey(step.Entity))
}

// missingEnds returns, by key, what must exist for the bindings among due that
// were refused because something was missing. The end of a lost connection can
// delete it after the replay has found it: its auto-delete queue, and then the
// auto-delete exchange whose last binding led there.
func (s *supervision) missingEnds(due map[*entry]bool) map[string]bool {
	var ends topology.Topology
	for p := range due {
		b, ok := p.Entity.(topology.Binding)
		if !ok || p.Reason != recovery.ReasonMissing {
			continue
		}
		ends.Exchanges = append(ends.Exchanges, topology.Exchange{Name: b.Source})
		if b.ToExchange {
			ends.Exchanges = append(ends.Exchanges, topology.Exchange{Name: b.Destination})
		} else {
			ends.Queues = append(ends.Queues, topology.Queue{Name: b.Destination})
		}
	}
	all := map[string]bool{}
	for _, phase := range s.c.cfg.Recorder.Upstream(ends) {
		for _, step := range phase.Steps {
			all[entityKey(step.Entity)] = true
		}
	}
	return all
}

// harmless declares what closed a connection on one of its own. It reports
// whether that one survived it. A refusal that costs a channel is harmless: of
// an exclusive queue of this connection the broker refuses everything there.
func (s *supervision) harmless(conn *core.Conn, step record.Step) bool {
	ctx, cancel := s.during(conn)
	defer cancel()
	trial, err := core.Dial(ctx, s.dialled)
	if err == nil {
		var results []record.Result
		results, err = record.Replay(ctx, trial, []record.Step{step})
		_ = trial.Close(ctx) // it has done its work
		if len(results) == 1 {
			err = results[0].Err
		}
		if core.AsError(err).ClosedChannel() {
			err = nil
		}
	}
	if err == nil || ctx.Err() != nil {
		return err == nil
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.quarantine.postpone(entityKey(step.Entity), time.Now())
	return false
}

// renewSecret replaces the credentials of the open connection by new ones.
func (s *supervision) renewSecret(conn *core.Conn) {
	ctx, cancel := s.during(conn)
	defer cancel()
	renewed, err := credentialsOf(ctx, s.chosen, true)
	if err == nil {
		err = conn.UpdateSecret(ctx, renewed.Password, "renewed before expiry")
	}
	if err == nil {
		s.login.used = renewed
		s.c.Emit(recovery.Event{Kind: recovery.EventSecretRenewed})
	} else if ctx.Err() == nil {
		s.c.Emit(recovery.Event{Kind: recovery.EventSecretNotRenewed, Err: err})
	}
	s.planRenewal(time.Now())
}

// planRenewal notes when to renew the credentials.
func (s *supervision) planRenewal(now time.Time) {
	s.renewAt = time.Time{}
	if in, ok := s.login.renewIn(now); ok {
		s.renewAt = now.Add(in)
	}
}
