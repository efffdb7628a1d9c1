package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// sighting is a broker that another connection of the application has found.
type sighting struct {
	addr string
	at   time.Time
}

const (
	// foundSpread is up to how long after a sighting the next attempt is made: a
	// random time, so that the connections of many clients do not arrive together.
	foundSpread = 500 * time.Millisecond
	// stuckAfter is after how long an attempt that is under way is broken off when
	// the broker is found elsewhere. It may have begun in the outage, and hang.
	stuckAfter = 3 * time.Second
)

var errFoundElsewhere = errors.New("broken off: another connection has found the broker meanwhile")

// Found tells the connection that another one has found the broker at addr. If
// it waits before its next attempt, whatever for, it makes it within half a
// second, and there; an attempt that hangs is broken off. It never blocks.
func (c *Connection) Found(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = sighting{addr, time.Now()}
	c.sighted.Wake()
}

// sightedSince returns where the broker was found since then, and what is closed when it is again.
func (c *Connection) sightedSince(then time.Time) (addr string, found bool, again <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found.addr, !c.found.at.IsZero() && !c.found.at.Before(then), c.sighted.Wait()
}

// sleep waits before an attempt, until a sighting, [Connection.Reconnect] or the end cuts it short.
func (s *supervision) sleep(delay time.Duration) error {
	s.due(delay)
	t := time.NewTimer(delay)
	defer t.Stop()
	for end, heeded := time.Now().Add(delay), false; ; {
		addr, found, again := s.c.sightedSince(s.triedAt)
		if found && !heeded {
			heeded = true
			s.rotation.favour(addr)
			left := max(0, min(time.Until(end), rand.N(foundSpread)))
			s.due(left)
			t.Reset(left)
		}
		select {
		case <-t.C:
			return nil
		case <-s.c.force:
			return nil
		case <-again:
		case <-s.c.ctx.Done():
			return context.Cause(s.c.ctx)
		}
	}
}

// due notes for how long the next attempt waits.
func (s *supervision) due(delay time.Duration) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.nextAttempt = time.Now().Add(delay)
}

// untilFound returns a context for an attempt that begins now. It ends when the
// attempt hangs and the broker was found elsewhere since.
func (s *supervision) untilFound() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(s.c.ctx)
	go s.runBreakOff(ctx, s.triedAt, cancel)
	return ctx, func() { cancel(nil) }
}

// runBreakOff breaks an attempt off that began then, if it hangs, until ctx ends.
func (s *supervision) runBreakOff(ctx context.Context, then time.Time, breakOff context.CancelCauseFunc) {
	t := time.NewTimer(stuckAfter)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return
	}
	for {
		_, found, again := s.c.sightedSince(then)
		if found {
			breakOff(errFoundElsewhere)
			return
		}
		select {
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}
