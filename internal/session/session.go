package session

import (
	"context"
	"maps"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/hook"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/recovery"
)

// Session is one physical connection with the topology replayed on it.
type Session struct {
	Conn  *core.Conn
	Epoch uint64 // 1 for the first connection, and so on
	Since time.Time

	aside core.Config // for Apart
}

// Apart opens a physical connection beside the session's, to the same
// endpoint and with credentials of its own, for what may make the broker close it. Nothing
// is declared there, nor is anybody told of it: who asks for it closes it. The
// error is a [*core.DialError].
func (s *Session) Apart(ctx context.Context) (*core.Conn, error) {
	return hook.Call(func() (*core.Conn, error) { return core.Dial(ctx, s.aside) })
}

// opened notes a new physical connection, which is no session yet.
func (s *supervision) opened(conn *core.Conn, endpoint string, attempt int) {
	select {
	case <-s.c.force: // it was about the last connection
	default:
	}
	select {
	case <-s.c.resumptions: // that one too
	default:
	}
	s.c.mu.Lock()
	s.c.conn, s.c.endpoint = conn, endpoint
	s.c.aside = s.apart()
	s.c.epoch++
	maps.Copy(s.doubtful, s.c.quarantine.keys())
	_, slow := errs.AsType[*record.InterruptedError](s.cause) // given up by this side in a replay
	s.c.quarantine.reset(slow)
	clear(s.freed)
	s.c.quarantine.held.patience = patienceFor(conn.Tuned().Heartbeat)
	s.c.behind = len(s.c.members)
	for _, m := range s.c.members {
		m.refused = nil
	}
	s.c.updateLocked()
	s.c.mu.Unlock()
	s.planRenewal(time.Now())
	s.hookTime = s.c.cfg.ReplayTimeout
	s.c.Emit(recovery.Event{Kind: recovery.EventOpened, Endpoint: endpoint, Attempt: attempt})
	s.report = newReport()
	s.report.Cause, s.report.Attempts, s.report.Endpoint, s.report.Lost = s.cause, attempt, endpoint, s.lostAt
	if s.cause != nil {
		s.report.Dial = time.Since(s.lostAt)
	}
}

// announce makes the connection available as a session. Its event comes before
// those of anything that the session makes possible: hence it is said under the lock.
func (c *Connection) announce(conn *core.Conn, r *recovery.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.session = &Session{Conn: conn, Epoch: c.epoch, Since: time.Now(), aside: c.aside}
		c.err = nil
	}
	if r.Cause == nil {
		c.updateLocked()
		return
	}
	r.Tally, c.tally = c.tally, recovery.Tally{}
	r.Total = time.Since(r.Lost)
	c.updateLocked()
	c.mu.sayLocked(recovery.Event{Kind: recovery.EventRecovered, Report: r, Endpoint: r.Endpoint})
	if len(c.members) > 0 {
		c.recovered = r
		c.updateLocked()
	}
}

// retire takes back a session whose connection is lost.
func (c *Connection) retire(conn *core.Conn, cause error) {
	c.mu.Lock()
	closing := c.closed
	c.mu.Unlock()
	if !closing { // else it is no loss
		c.Emit(recovery.Event{Kind: recovery.EventLost, Err: cause})
	}
	if _, blocked := conn.Blocked(); blocked {
		c.Emit(recovery.Event{Kind: recovery.EventUnblocked}) // whatever comes next is not blocked until it says so
	}
	c.mu.Lock()
	c.conn, c.session, c.recovered = nil, nil, nil
	c.losses++
	if !c.closed {
		c.err = cause
	}
	c.updateLocked()
	c.mu.Unlock()
	if conn.Err() == nil { // given up by this side
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, core.ErrTimeout)
		defer cancel()
		_ = conn.Close(ctx) // the socket is closed in any case
	}
}

// GiveUp closes the connection for good.
func (c *Connection) GiveUp(cause error) {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		c.err = cause
	}
	c.updateLocked()
	c.mu.Unlock()
	c.stop(cause) // behind the state, which whoever finds the connection done asks for
	c.Emit(recovery.Event{Kind: recovery.EventEnded, Err: cause})
}
