package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warren-mq/warren/core"
)

// runSupervisor is the goroutine that makes one physical connection after
// another, until the connection is closed or given up.
func (c *Connection) runSupervisor() {
	defer close(c.done)
	s := &supervision{Connection: c, schedule: schedule{
		policy: c.cfg.Retry(), stable: c.cfg.StableAfter, slow: c.cfg.SlowRetry, calm: true,
	}}
	for {
		// 1st: a physical connection.
		conn, err := s.connect()
		if err != nil {
			c.end(err)
			return
		}
		// 2nd: the topology on it, and whatever else must come first.
		since := time.Now()
		err = s.restore(conn)
		// 3rd: announce it, and wait until it is lost.
		if err == nil {
			c.announce(conn, s.report)
			err = s.watch(conn)
		}
		c.retire(conn, err)
		s.lost(err, time.Since(since))
	}
}

// supervision is what only the supervisor goroutine touches.
type supervision struct {
	*Connection
	schedule schedule
	rotation rotation
	cause    error     // why the last connection was lost, nil at first
	lostAt   time.Time // when
	report   *Report   // of the recovery under way
}

func (s *supervision) lost(cause error, uptime time.Duration) {
	s.cause, s.lostAt = cause, time.Now()
	s.schedule.lost(uptime)
}

// connect returns an open connection. It ends with an error when the
// connection is closed, when the policy gives up, or when the very first
// passes over the endpoints fail.
func (s *supervision) connect() (*core.Conn, error) {
	last, lastErr := passing, error(nil)
	for attempt := 1; ; attempt++ {
		list, err := s.cfg.Resolver(s.ctx)
		if err == nil && len(list) == 0 {
			err = errors.New("the resolver returned no endpoint")
		}
		if err := s.giveUp(attempt, len(list), last, lastErr); err != nil {
			return nil, err
		}
		if err := s.pause(attempt, max(1, len(list)), last, lastErr); err != nil {
			return nil, err
		}
		if err != nil {
			last, lastErr = passing, fmt.Errorf("resolve endpoints: %w", err)
			continue
		}
		endpoint := s.rotation.next(list)
		conn, err := core.Dial(s.ctx, s.observed(endpoint))
		if err == nil {
			s.opened(conn, endpoint.Addr, attempt)
			return conn, nil
		}
		if s.ctx.Err() != nil {
			return nil, context.Cause(s.ctx)
		}
		last, lastErr = classify(err), err
		s.note(err)
	}
}

// giveUp returns the last error if no further attempt is to be made.
func (s *supervision) giveUp(attempt, endpoints int, last class, lastErr error) error {
	if lastErr == nil {
		return nil
	}
	if last == hopeless {
		return lastErr
	}
	first := s.cause == nil && s.cfg.InitialPasses > 0
	if first && (last == refused || attempt > s.cfg.InitialPasses*max(1, endpoints)) {
		return lastErr
	}
	return nil
}

// pause waits before an attempt as the schedule says.
func (s *supervision) pause(attempt, endpoints int, last class, lastErr error) error {
	delay, ok := s.schedule.next(endpoints, last)
	if !ok {
		return fmt.Errorf("gave up after %d attempts: %w", attempt-1, lastErr)
	}
	if lastErr != nil {
		s.Emit(Event{Kind: Retrying, Err: lastErr, Attempt: attempt, Delay: delay})
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// observed returns the endpoint with the blocked state reported as events.
func (s *supervision) observed(endpoint core.Config) core.Config {
	theirs := endpoint.OnBlocked
	endpoint.OnBlocked = func(reason string, blocked bool) {
		if theirs != nil {
			theirs(reason, blocked)
		}
		if blocked {
			s.Emit(Event{Kind: Blocked, Err: errors.New(reason)})
		} else {
			s.Emit(Event{Kind: Unblocked})
		}
	}
	return endpoint
}

// note makes the error of a failed attempt visible in the state.
func (s *supervision) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.err = err
	}
}

func (s *supervision) opened(conn *core.Conn, endpoint string, attempt int) {
	s.mu.Lock()
	s.conn = conn
	s.epoch++
	s.quarantine = nil
	s.update()
	s.mu.Unlock()
	s.Emit(Event{Kind: Opened, Endpoint: endpoint, Attempt: attempt})
	s.report = &Report{
		Cause: s.cause, Attempts: attempt, Endpoint: endpoint, Lost: s.lostAt,
		Phases: map[string]time.Duration{}, Renamed: map[string]string{},
	}
	if s.cause != nil {
		s.report.Dial = time.Since(s.lostAt)
	}
}

// announce makes the connection available as a session.
func (c *Connection) announce(conn *core.Conn, r *Report) {
	c.mu.Lock()
	if !c.closed {
		c.session = &Session{Conn: conn, Epoch: c.epoch, Since: time.Now()}
		c.err = nil
	}
	c.update()
	c.mu.Unlock()
	if r.Cause != nil {
		r.Total = time.Since(r.Lost)
		c.Emit(Event{Kind: Recovered, Report: r, Endpoint: r.Endpoint})
	}
}

// retire takes back a session whose connection is lost.
func (c *Connection) retire(conn *core.Conn, cause error) {
	closing := c.ctx.Err() != nil
	if !closing {
		c.Emit(Event{Kind: Lost, Err: cause})
	}
	c.mu.Lock()
	c.conn, c.session = nil, nil
	if !c.closed {
		c.err = cause
	}
	c.update()
	c.mu.Unlock()
	if conn.Err() == nil { // given up by this side
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, core.ErrTimeout)
		defer cancel()
		_ = conn.Close(ctx) // the socket is closed in any case
	}
}

// end closes the connection for good.
func (c *Connection) end(cause error) {
	c.stop(cause)
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		c.err = cause
	}
	c.update()
	c.mu.Unlock()
	c.Emit(Event{Kind: Ended, Err: cause})
}
