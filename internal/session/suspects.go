package session

import (
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/recovery"
)

// suspects are entities; one of them made the broker close a connection.
// On the next connection they are declared one by one.
type suspects map[string]bool

// split separates the steps under suspicion from the others.
func (s suspects) split(steps []record.Step) (sound, suspected []record.Step) {
	if len(s) == 0 {
		return steps, nil
	}
	for _, step := range steps {
		if s[entityKey(step.Entity)] {
			suspected = append(suspected, step)
		} else {
			sound = append(sound, step)
		}
	}
	return sound, suspected
}

// accuse replaces the suspects by the steps in flight that the broker can have
// meant. If that is one, it is returned as the culprit.
func (s *suspects) accuse(cause error, inFlight []record.Step) (culprit record.Step, found bool) {
	e := core.AsError(cause)
	if !e.ClosedConnection() || !e.OverRequest() {
		return culprit, false
	}
	var blamed []record.Step
	for _, step := range inFlight {
		if e.MayBeOver(step.Method.ID()) {
			blamed = append(blamed, step)
		}
	}
	if len(blamed) == 1 {
		delete(*s, entityKey(blamed[0].Entity)) // those behind it stay under suspicion
		return blamed[0], true
	}
	*s = suspects{}
	for _, step := range blamed {
		(*s)[entityKey(step.Entity)] = true
	}
	return culprit, false
}

// blame looks for the entity that made the broker close the connection, and
// puts it into quarantine. It returns why the connection is lost.
func (s *supervision) blame(conn *core.Conn, err error) error {
	interrupted, ok := errs.AsType[*record.InterruptedError](err)
	if !ok || conn.Err() == nil { // given up by this side
		return err
	}
	err = conn.Err()
	culprit, found := s.suspects.accuse(err, interrupted.InFlight)
	if !found {
		return err
	}
	f := recovery.Failure{Entity: culprit.Entity.String(), Err: err}
	s.c.mu.Lock()
	r := s.c.quarantine.refuse(culprit.Entity, err, time.Now())
	s.c.mu.Unlock()
	s.c.Emit(recovery.Event{Kind: recovery.EventQuarantined, Entity: f.Entity, Err: err, Attempt: r.Attempts})
	if s.decide(conn, r) == recovery.DecisionFail {
		return &refusedError{f}
	}
	return err
}
