package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/hook"
	"github.com/warren-mq/warren/recovery"
)

// runSupervisor is the goroutine that makes one physical connection after
// another, until the connection is closed or given up.
func (c *Connection) runSupervisor() {
	defer close(c.done)
	defer c.running.Wait() // all see that the connection is closed
	s := newSupervision(c)
	for {
		// 1st: a physical connection.
		conn, err := s.connect()
		if err != nil {
			c.GiveUp(err)
			return
		}
		// 2nd: the topology on it, and whatever else must come first.
		since := time.Now()
		err = s.restore(conn)
		// 3rd: announce it, and wait until it is lost.
		if err == nil {
			c.announce(conn, s.report)
			s.report = newReport() // the one announced is the listeners'
			err = s.watch(conn)
		}
		c.retire(conn, err)
		// 4th: start over, unless the application wants no more.
		if end := s.final(err); end != nil {
			c.GiveUp(end)
			return
		}
		s.lost(err, time.Since(since))
	}
}

// supervision is what only the supervisor goroutine touches.
type supervision struct {
	c         *Connection
	schedule  schedule
	rotation  rotation
	login     credentialCache
	endpoints int              // how many the resolver returned last
	asked     bool             // the connection was dropped by Reconnect
	fresh     bool             // the next attempt has renewed credentials
	faults    int              // of protocol, of the server, in a row
	blind     bool             // the next plan is made without a survey: the broker closed the last connection over one
	untrusted int              // attempts in a row that ended over TLS
	cause     error            // why the last connection was lost, nil at first
	lostAt    time.Time        // when; at first, the beginning
	triedAt   time.Time        // when the last attempt began
	report    *recovery.Report // of the recovery under way
	chosen    core.Config      // the endpoint of the present connection, as the resolver gave it
	dialled   core.Config      // the same with the credentials of login
	renewAt   time.Time        // when its credentials are to be renewed; zero: never
	suspects  suspects
	complete  bool              // everything was declared on the last connection, or refused
	doubtful  map[string]bool   // entities that were refused, or skipped, since the last plan was made
	healed    bool              // something came back, which others may have missed
	freed     map[string]*entry // queues that have come back after the replay, and are not bound yet, by name
	hookTime  time.Duration     // left to the application's Refused
}

func newSupervision(c *Connection) *supervision {
	return &supervision{
		c: c,
		schedule: schedule{
			policy: policyOf(c.cfg.Retry), stable: c.cfg.StableAfter, slow: c.cfg.SlowRetry, calm: true,
			budgets: [classes]recovery.Budget{passing: c.cfg.Network, refused: c.cfg.Authentication},
		},
		endpoints: 1,
		doubtful:  map[string]bool{},
		freed:     map[string]*entry{},
		lostAt:    time.Now(),
	}
}

// final returns why there will be no other connection, nil if the loss of this
// one is to be recovered from.
func (s *supervision) final(cause error) error {
	if s.c.Closed() { // and Close is about to end the context
		<-s.c.ctx.Done()
		return context.Cause(s.c.ctx)
	}
	if isFinal(cause) {
		return cause
	}
	if s.c.cfg.Recover == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(s.c.ctx, s.c.cfg.ReplayTimeout, core.ErrTimeout)
	defer cancel()
	if ask(ctx, true, func() bool { return s.c.cfg.Recover(ctx, cause) }) {
		return nil
	}
	return cause
}

func (s *supervision) lost(cause error, uptime time.Duration) {
	s.cause, s.lostAt, s.untrusted = cause, time.Now(), 0
	s.triedAt = s.lostAt
	s.schedule.lost(uptime)
	if !core.AsError(cause).Fault() || uptime >= s.c.cfg.StableAfter {
		s.faults = 0
	}
	s.count(cause)
	if s.asked { // by the application, which need not wait for it
		s.schedule.calm, s.asked = true, false
	}
	s.login.lost()
	if uptime >= s.c.cfg.StableAfter {
		s.rotation.settle()
	}
}

// connect returns an open connection. It ends with an error when the
// connection is closed, when the policy or a budget gives up, or when the very
// first passes over the endpoints fail.
func (s *supervision) connect() (*core.Conn, error) {
	last, lastErr := passing, error(nil)
	for attempt := 1; ; attempt++ {
		if err := s.pause(attempt, last, lastErr); err != nil {
			return nil, err
		}
		conn, endpoint, err := s.attempt()
		if err == nil {
			s.opened(conn, endpoint.Addr, attempt)
			return conn, nil
		}
		if s.c.ctx.Err() != nil {
			return nil, context.Cause(s.c.ctx)
		}
		last, lastErr = s.attemptClass(err), err
		s.note(err)
		s.count(err)
		s.fresh = errors.Is(err, core.ErrAuth) && s.login.renew(s.c.ctx, endpoint)
		if !s.another(attempt, last) {
			return nil, gaveUp(attempt, err)
		}
	}
}

// attempt dials the next endpoint once.
func (s *supervision) attempt() (*core.Conn, core.Config, error) {
	s.triedAt = time.Now()
	list, err := lookUp(s.c.ctx, s.c.cfg.Resolver)
	if err == nil && len(list) == 0 {
		err = errNoEndpoint
	}
	if err != nil {
		return nil, core.Config{}, fmt.Errorf("resolve endpoints: %w", err)
	}
	s.endpoints = len(list)
	endpoint := s.rotation.next(list)
	s.chosen, s.dialled = endpoint, endpoint
	s.dialled.Credentials = s.login.source(endpoint)
	// It calls functions of the application: to dial, for TLS, and to log in.
	ctx, done := s.untilFound()
	defer done()
	conn, err := hook.Call(func() (*core.Conn, error) { return core.Dial(ctx, s.observed(s.dialled)) })
	return conn, endpoint, err
}

// apart returns the present endpoint for connections that others than the supervisor
// open: they leave login as it is, and report no state.
func (s *supervision) apart() core.Config {
	endpoint := s.chosen
	aside := endpoint
	aside.OnBlocked = nil
	aside.Credentials = func(ctx context.Context, renew bool) (core.Credentials, error) {
		return credentialsOf(ctx, endpoint, renew)
	}
	return aside
}

// attemptClass is classOf, but what was right once is not hopeless,
// and a certificate is that of one endpoint: the others are tried as if it were down.
func (s *supervision) attemptClass(err error) class {
	c := classOf(err)
	if s.untrusted++; !isCertificate(err) {
		s.untrusted = 0
	} else if s.untrusted < s.endpoints {
		return passing
	}
	if c == hopeless && s.cause != nil {
		return refused // as by a resolver that names an endpoint wrongly for now
	}
	return c
}

// another reports whether another attempt may follow the failed one.
func (s *supervision) another(attempt int, last class) bool {
	if !s.schedule.failed(last, time.Since(s.lostAt)) {
		return false
	}
	if s.cause != nil || s.c.cfg.InitialPasses < 0 || s.fresh {
		return true
	}
	return last != refused && attempt < s.c.cfg.InitialPasses*s.endpoints
}

// gaveUp returns why there is no connection after so many attempts, the last of
// which failed with err; with none, err is why the connection was lost.
func gaveUp(attempts int, err error) error {
	if attempts <= 1 {
		return err
	}
	return fmt.Errorf("gave up after %d attempts: %w", attempts, err)
}

// pause waits before an attempt as the schedule says.
func (s *supervision) pause(attempt int, last class, lastErr error) error {
	delay, ok := s.schedule.next(s.endpoints, last)
	if s.fresh {
		delay, ok = 0, true
	}
	if !ok {
		return gaveUp(attempt-1, cmp.Or(lastErr, s.cause))
	}
	if s.faults >= maxFaults { // whatever listens there, it will hardly change soon
		delay += s.c.cfg.SlowRetry
		lastErr = cmp.Or(lastErr, s.cause)
	}
	if lastErr != nil {
		s.c.Emit(recovery.Event{Kind: recovery.EventRetrying, Err: lastErr, Attempt: attempt, Delay: delay})
	}
	s.c.mu.Lock()
	s.c.attempts = attempt - 1
	s.c.mu.Unlock()
	return s.sleep(delay)
}

// maxFaults is after how many faults of protocol in a row, found by this side,
// attempts are SlowRetry further apart.
const maxFaults = 5

func (s *supervision) count(err error) {
	if core.AsError(err).Fault() {
		s.faults++
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
			s.c.Emit(recovery.Event{Kind: recovery.EventBlocked, Err: errors.New(reason)})
		} else {
			s.c.Emit(recovery.Event{Kind: recovery.EventUnblocked})
		}
	}
	return endpoint
}

// note makes the error of a failed attempt visible in the state.
func (s *supervision) note(err error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if !s.c.closed {
		s.c.err = err
		s.c.changed.Wake()
	}
}
