package session

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/recovery"
)

// Connection is a logical connection: it outlives any number of physical
// ones. It is idle until [Connection.Connect] or [Connection.Session] is
// called first. All methods are safe for concurrent use.
type Connection struct {
	cfg     Config
	ctx     context.Context // ends when the connection is closed
	stop    context.CancelCauseFunc
	force   chan error    // capacity 1: drop the present connection
	reviews chan struct{} // capacity 1: something quarantined is due earlier
	// resumptions, of capacity 1, takes the report of a recovery when the consumers are back.
	resumptions chan *recovery.Report
	done        chan struct{} // closed when the supervisor has ended, and all of running
	// running counts what lives on the connection; added to while it is open.
	running sync.WaitGroup

	mu          announcer // guards the following
	started     bool
	closed      bool
	err         error // why Connecting or Closed
	conn        *core.Conn
	endpoint    string      // of conn
	aside       core.Config // conn's, for others to the same endpoint
	session     *Session    // nil until the topology is replayed
	epoch       uint64
	quarantine  quarantine
	members     []*Member
	behind      int // members that are not established on the present connection
	failed      int // failures of members
	flight      flight
	channels    int // opened so far, for their names
	open        int // of them
	found       sighting
	sighted     gate.Gate // found is another one
	check       check
	losses      int
	recreations map[string]int   // by queue
	redeclaring map[string]bool  // queues, by the name that they had
	redeclared  gate.Gate        // one less
	attempts    int              // since the loss
	nextAttempt time.Time        // while waiting for it
	tally       recovery.Tally   // since the last report
	state       recovery.State   // as announced last
	recovered   *recovery.Report // announced last, while its consumers are not all established; or nil
	changed     gate.Gate
}

// New returns an idle connection. A cfg that is not valid is the error of its first use.
func New(cfg Config) *Connection {
	cfg = cfg.withDefaults()
	ctx, stop := context.WithCancelCause(context.Background())
	pace := backoff.NewPace()
	return &Connection{
		cfg: cfg, ctx: ctx, stop: stop, mu: announcer{tell: cfg.tell},
		force: make(chan error, 1), reviews: make(chan struct{}, 1), resumptions: make(chan *recovery.Report, 1), done: make(chan struct{}),
		quarantine: quarantine{budget: cfg.Semantic, pace: pace, held: held{pace: pace}}, recreations: map[string]int{}, redeclaring: map[string]bool{},
	}
}

// Connect starts the connection and waits until it is [recovery.StagePublishReady]. If the
// first connect fails on every endpoint, [Config.InitialPasses] times, it
// returns that error and the connection is closed. When ctx ends, so does the
// waiting; call Close to end the connection too.
func (c *Connection) Connect(ctx context.Context) error {
	_, err := c.Session(ctx)
	return err
}

// Session returns the present session, and waits for one while there is none.
// It starts the connection if it is idle. Errors: the end of ctx with why there
// is no session, such as the [*core.DialError] of the last attempt, and why the
// connection is closed, wrapping [core.ErrClosed] unless it was given up.
func (c *Connection) Session(ctx context.Context) (*Session, error) {
	return c.SessionAfter(ctx, 0)
}

// SessionAfter is [Connection.Session] for a session with an epoch above
// after: for a caller that found the present one dead before the supervisor did.
func (c *Connection) SessionAfter(ctx context.Context, after uint64) (*Session, error) {
	c.mu.Lock()
	for {
		c.startLocked()
		switch {
		case c.closed:
			defer c.mu.Unlock()
			return nil, c.err
		case c.session != nil && c.session.Epoch > after && c.session.Conn.Err() == nil: // else the supervisor is about to retire it
			defer c.mu.Unlock()
			return c.session, nil
		}
		changed := c.changed.Wait()
		c.mu.Unlock()
		err := gate.Await(ctx, changed)
		c.mu.Lock()
		if err != nil {
			defer c.mu.Unlock()
			return nil, inVain(c.snapshot(), err)
		}
	}
}

// startLocked starts the supervisor once.
func (c *Connection) startLocked() {
	if c.started || c.closed {
		return
	}
	c.started = true
	if err := c.cfg.Validate(); err != nil {
		c.closed, c.err = true, err
		c.stop(err)
		close(c.done)
		c.updateLocked()
		return
	}
	go c.runSupervisor()
}

// State returns the present state.
func (c *Connection) State() recovery.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshot()
}

func (c *Connection) snapshot() recovery.State {
	stage, degraded := c.stageLocked()
	s := recovery.State{Stage: stage, Epoch: c.epoch}
	if degraded > 0 {
		s.Degraded = c.degradedLocked()
	}
	if stage == recovery.StageConnecting || stage == recovery.StageClosed {
		s.Cause = c.err
	}
	return s
}

// Await waits until ok returns true for the connection's state. It returns
// the cause when the connection is closed or ctx ends first, then with what the
// state has against it, such as the [*core.DialError] of the last attempt.
func (c *Connection) Await(ctx context.Context, ok func(recovery.State) bool) error {
	c.mu.Lock()
	for {
		s, changed := c.snapshot(), c.changed.Wait()
		c.mu.Unlock() // ok is the application's
		if ok(s) {
			return nil
		}
		if s.Stage == recovery.StageClosed {
			return s.Cause
		}
		if err := gate.Await(ctx, changed); err != nil {
			return inVain(s, err)
		}
		c.mu.Lock()
	}
}

// Connected reports whether there is a session.
func (c *Connection) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session != nil
}

// Closed reports whether the connection was closed or given up.
func (c *Connection) Closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Host starts what lives on the connection, and ends with it: it lives within life, and the connection is not done
// before run has returned. Then the connection is not in use by it, and ended is called. number counts what was
// hosted. It fails once the connection is closed.
func (c *Connection) Host(start func(life context.Context, number int) (run, ended func())) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.err
	}
	c.startLocked()
	c.channels++
	run, ended := start(c.ctx, c.channels)
	c.open++
	c.running.Go(func() {
		run()
		c.mu.Lock()
		c.open--
		c.mu.Unlock()
		ended()
	})
	return nil
}

// Go runs f on a goroutine that the connection waits for at its end. What is hosted may call it while it runs.
func (c *Connection) Go(f func()) { c.running.Go(f) }

// Name is the connection's name in logs and events.
func (c *Connection) Name() string { return c.cfg.Name }

// Budget limits how often what the broker refuses is tried again.
func (c *Connection) Budget() recovery.Budget { return c.cfg.Semantic }

// InVain returns err, the end of a wait, with what the state has against what was waited for.
func (c *Connection) InVain(err error) error { return inVain(c.State(), err) }

// Start starts the connection without waiting for it.
func (c *Connection) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.startLocked()
}

// InUse reports whether something lives on the connection: a channel, a
// consumer, or a recorded entity that it is to keep.
func (c *Connection) InUse() bool {
	if c.cfg.Recorder != nil && c.cfg.Recorder.Len() > 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open > 0 || len(c.members) > 0
}

// Idle reports whether nothing has used the connection yet.
func (c *Connection) Idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.started
}

// Reconnect drops the present physical connection; the supervisor makes a
// new one. reason is the cause that events and the report name. While there is
// no connection, the next attempt is made at once. It never blocks.
func (c *Connection) Reconnect(reason error) {
	select {
	case c.force <- reason:
	default: // one is under way
	}
}

// Done is closed when the connection is closed for good.
func (c *Connection) Done() <-chan struct{} { return c.ctx.Done() }

// Emit reports an event of something that lives on this connection.
func (c *Connection) Emit(e recovery.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.sayLocked(e)
}

// Close ends the connection, in whatever state it is, within ctx: waiting and
// dialling are broken off, an open connection is closed in order. It is safe
// to call again.
func (c *Connection) Close(ctx context.Context) error {
	c.mu.Lock()
	started, conn := c.started, c.conn
	c.started = true // it cannot be started any more
	if !c.closed {
		c.closed = true
		c.err = core.ErrClosed
		c.updateLocked()
	}
	c.mu.Unlock()
	var err error
	if conn != nil {
		err = conn.Close(ctx)
	}
	c.stop(core.ErrClosed)
	if !started {
		close(c.done) // there is no supervisor to do it
		return nil
	}
	if waitErr := gate.Await(ctx, c.done); err == nil {
		err = waitErr
	}
	return err
}

// updateLocked wakes who waits for a change and announces a new state.
func (c *Connection) updateLocked() {
	c.changed.Wake()
	stage, degraded := c.stageLocked()
	if stage == recovery.StageConsumeReady && c.recovered != nil {
		c.resumptions <- c.resumedLocked(c.recovered) // there is room: one a connection, and none is left of the last
		c.recovered = nil
	}
	if stage == c.state.Stage && degraded == len(c.state.Degraded) && c.epoch == c.state.Epoch {
		return
	}
	c.state = c.snapshot()
	c.mu.sayLocked(recovery.Event{Kind: recovery.EventStageChanged, State: c.state})
}

// inVain returns err, the end of a wait, with what the state has against what was waited for.
func inVain(s recovery.State, err error) error {
	if why := s.Err(); why != nil {
		return fmt.Errorf("%w: %w", err, why)
	}
	return err
}

// Tally adds to what the next report counts. Publishers and consumers call it.
func (c *Connection) Tally(t recovery.Tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.Unknown += t.Unknown
	c.tally.NotSent += t.NotSent
	c.tally.StaleAcks += t.StaleAcks
}

// Health returns the connection's health. It costs no I/O.
func (c *Connection) Health() recovery.Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := recovery.Health{Connection: c.cfg.Name, Live: !c.closed, State: c.snapshot(), Losses: c.losses}
	h.Ready = h.State.Ready()
	if c.conn == nil {
		h.Attempts, h.Next = c.attempts, c.nextAttempt
		return h
	}
	h.Endpoint = c.endpoint
	if c.session != nil {
		h.Since = c.session.Since
	}
	if reason, blocked := c.conn.Blocked(); blocked {
		h.Blocked = reason
	}
	return h
}
