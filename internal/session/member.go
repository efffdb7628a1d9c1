package session

import (
	"fmt"
	"slices"
	"time"

	"github.com/warren-mq/warren/recovery"
)

// Member is something that must be re-established on every new connection
// before it counts as consume-ready: a consumer, or a channel with consumers.
type Member struct {
	conn *Connection
	name string
	look func() // see Join

	// Guarded by the connection's lock.
	epoch    uint64             // the connection it is established on
	since    time.Time          // when it was
	failures []recovery.Failure // why it could not be
	refused  []recovery.Failure // the last failures on the present connection
	ended    bool               // for good, by itself
	left     bool
}

// Join registers a member. It counts as not established until
// [Member.Restored]. It takes the place of one that has ended under this name.
// look, unless nil, is called when queues came free that were held; it must not block.
func (c *Connection) Join(name string, look func()) *Member {
	return c.join(&Member{name: name, look: look})
}

func (c *Connection) join(m *Member) *Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, other := range c.members {
		if other.ended && other.name == m.name {
			c.removeLocked(other)
			break
		}
	}
	m.conn = c
	c.members = append(c.members, m)
	c.countLocked(m, 1)
	c.updateLocked()
	return m
}

// countLocked adds a member to what its connection counts, or takes it away with n
// = -1.
func (c *Connection) countLocked(m *Member, n int) {
	if m.epoch != c.epoch {
		c.behind += n
	}
	c.failed += n * len(m.failures)
}

// lookAgainLocked has members look which queues are held.
func (c *Connection) lookAgainLocked() {
	for _, m := range c.members {
		if m.look != nil {
			m.look()
		}
	}
}

// Restored notes that the member is established on s. holds is what it can do nothing with.
func (m *Member) Restored(s *Session, holds ...recovery.Failure) { m.set(s.Epoch, holds) }

// Missing notes that the member is not established, and what failed, if anything did.
func (m *Member) Missing(failures ...recovery.Failure) { m.set(0, failures) }

// Failed notes that the member is not established, and why.
func (m *Member) Failed(err error) { m.set(0, []recovery.Failure{{Entity: m.name, Err: err}}) }

// Leave unregisters the member.
func (m *Member) Leave() {
	c := m.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeLocked(m)
	c.updateLocked()
}

// removeLocked unregisters a member.
func (c *Connection) removeLocked(m *Member) {
	if m.left {
		return
	}
	m.left = true
	c.members = slices.DeleteFunc(c.members, func(other *Member) bool { return other == m })
	c.countLocked(m, -1)
}

// Ended notes that the member has ended for good with err, which the
// application has not asked for: it stays in the state until [Member.Leave].
func (m *Member) Ended(err error) {
	m.set(0, []recovery.Failure{{Entity: m.name, Err: ended(err)}})
	m.conn.mu.Lock()
	defer m.conn.mu.Unlock()
	m.ended = true
}

// JoinEnded registers something that has ended for good with err, which the
// application has not asked for: it is in the state until [Member.Leave].
func (c *Connection) JoinEnded(name string, err error) *Member {
	return c.join(&Member{name: name, failures: []recovery.Failure{{Entity: name, Err: ended(err)}}, ended: true})
}

// ended is the error of what is in the state for good.
func ended(err error) error { return fmt.Errorf("ended, and is not tried again: %w", err) }

func (m *Member) set(epoch uint64, failures []recovery.Failure) {
	c := m.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.left {
		return
	}
	c.countLocked(m, -1)
	m.epoch, m.since, m.failures = epoch, time.Now(), failures
	if len(failures) > 0 && epoch == 0 && c.session != nil {
		m.refused = failures
	}
	c.countLocked(m, 1)
	c.updateLocked()
}

// stageLocked derives the stage, and how much is degraded.
func (c *Connection) stageLocked() (s recovery.Stage, degraded int) {
	degraded = len(c.quarantine.entries) + c.failed
	switch {
	case c.closed:
		return recovery.StageClosed, 0
	case c.conn == nil:
		return recovery.StageConnecting, degraded
	case c.session == nil:
		return recovery.StageConnected, degraded
	case c.behind > 0:
		return recovery.StagePublishReady, degraded
	}
	return recovery.StageConsumeReady, degraded
}

// degradedLocked names what is.
func (c *Connection) degradedLocked() []recovery.Failure {
	failures := c.quarantine.failures()
	for _, m := range c.members {
		failures = append(failures, m.failures...)
	}
	return failures
}

// Holds notes that the member, which is established on s, holds something that
// it can do nothing with. It does nothing if it is not, or no more.
func (m *Member) Holds(s *Session, err error) {
	c := m.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.left || m.epoch != s.Epoch {
		return
	}
	c.countLocked(m, -1)
	m.failures = []recovery.Failure{{Entity: m.name, Err: err}}
	c.countLocked(m, 1)
	c.updateLocked()
}
