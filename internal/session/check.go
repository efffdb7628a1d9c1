package session

import (
	"context"
	"errors"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// check is what was asked for by [Connection.Verify]. Requests are numbered, so
// that one look at the broker answers all that came before it began.
type check struct {
	asked, done uint64
	whole       uint64    // the last that a survey does not answer, for it sees no bindings
	due         time.Time // after one that failed
	wait        backoff.Wait
}

// Verify waits until what is recorded is known to be on the broker, by a look
// that began after the call: on the present connection, if it lives, else by
// the replay on the next. What is missing is declared again, or quarantined.
//
// A session alone does not prove as much: its connection may be dead, and the
// broker started again, unnoticed. Errors: those of
// [Connection.Session].
func (c *Connection) Verify(ctx context.Context) error {
	c.mu.Lock()
	c.startLocked()
	c.check.asked++
	for mine := c.check.asked; ; {
		switch {
		case c.closed:
			defer c.mu.Unlock()
			return c.err
		case c.session != nil && c.check.done >= mine && c.session.Conn.Err() == nil:
			c.mu.Unlock()
			return nil
		}
		changed := c.changed.Wait()
		c.mu.Unlock()
		c.review()
		err := gate.Await(ctx, changed)
		c.mu.Lock()
		if err != nil {
			defer c.mu.Unlock()
			return inVain(c.snapshot(), err)
		}
	}
}

func (s *supervision) checksAsked() uint64 {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.c.check.asked
}

// checked notes that the topology was looked at, after so many had asked.
func (s *supervision) checked(asked uint64) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.check = check{asked: s.c.check.asked, done: asked, whole: s.c.check.whole}
	s.c.changed.Wake()
}

// checkAt returns when the next look is due; zero: nobody asks.
func (s *supervision) checkAt() time.Time {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.c.check.done == s.c.check.asked:
		return time.Time{}
	case s.c.check.due.IsZero():
		return time.Unix(1, 0)
	}
	return s.c.check.due
}

// checkNow looks, if it is time, what of the topology is missing on the open
// connection, and declares it.
func (s *supervision) checkNow(conn *core.Conn, now time.Time) error {
	if at := s.checkAt(); at.IsZero() || at.After(now) {
		return nil
	}
	asked := s.checksAsked()
	err := s.declareMissing(conn)
	switch {
	case err == nil, errors.Is(err, core.ErrChannelsExhausted): // then nothing can be asked, and nobody is to wait for it
		s.checked(asked)
		return nil
	case conn.Err() != nil || isFinal(err):
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.check.due = time.Now().Add(backoff.Jitter(s.c.check.wait.Next(firstRetry, lastRetry)))
	return nil
}

// presumedLoss returns what a look has to find out more than.
func (s *supervision) presumedLoss() record.Loss {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.c.check.whole > s.c.check.done {
		return record.LossEverything
	}
	return record.LossNone
}

// declareMissing declares what should be on the broker and is not, except for
// what is in quarantine and tried again in its own time.
func (s *supervision) declareMissing(conn *core.Conn) error {
	if s.c.cfg.Recorder == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(s.c.ctx, s.c.cfg.ReplayTimeout, core.ErrTimeout)
	defer cancel()
	phases, err := s.c.cfg.Recorder.Survey(ctx, conn, s.presumedLoss())
	if err != nil {
		s.blind = core.AsError(conn.Err()).OverRequest()
		return err
	}
	s.hookTime, s.report = s.c.cfg.ReplayTimeout, newReport() // nobody reads it
	for _, phase := range phases {
		var steps []record.Step
		for _, step := range phase.Steps {
			if s.quarantined(step) != nil {
				continue
			}
			if queue, ok := step.Entity.(topology.Queue); ok {
				done, err := s.c.begin(ctx, step.Name) // a consumer may have found it gone too
				if err != nil {
					return err
				}
				defer done()
				if s.c.Resolve(step.Name) != step.Name {
					continue // and has it back already
				}
				if step.Missing {
					s.tookQueue(queue)
				}
			}
			steps = append(steps, step.LookFirst())
		}
		if _, err := s.replay(conn, s.withoutHeld(steps), record.Replayer{}); err != nil {
			return err
		}
	}
	return s.rebind(conn)
}
