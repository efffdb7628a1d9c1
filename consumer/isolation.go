package consumer

import (
	"errors"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/recovery"
)

// isolation keeps a consumer over which the broker closes the connection, as
// RabbitMQ does over a quorum queue without a leader, from doing so to all the
// others again and again: it subscribes ever more rarely, across sessions.
// Others that were subscribing at that moment are suspects until they have
// done so alone.
type isolation struct {
	suspect  bool
	attempts int
	wait     time.Duration
	due      time.Time
}

// How long a consumer that was refused in this way waits: at first, and at most.
const (
	firstIsolation = 5 * time.Second
	lastIsolation  = time.Hour
)

// accuse takes the error with which the connection ended during basic.consume,
// and whether no other consumer was subscribing. It reports whether this one
// is to blame. An error that names no method is blamed on it only the second time.
func (i *isolation) accuse(err error, alone bool, now time.Time) (guilty bool) {
	e, ok := errors.AsType[*core.Error](err)
	if !ok || !e.Server || e.Scope != core.ScopeConnection || e.Code == core.ErrConnectionForced {
		return false // the network, or an operator
	}
	named := e.Method == wire.MethodBasicConsume.String()
	if !named && e.Method != "" {
		return false
	}
	guilty = alone && (named || i.suspect)
	i.suspect = true
	if guilty {
		i.attempts++
		i.wait = min(max(firstIsolation, 2*i.wait), lastIsolation)
		i.due = now.Add(i.wait)
	}
	return guilty
}

// isolated reports that the broker closed the connection over this consumer.
func (f *feed) isolated(err error) {
	f.member.Failed(err)
	f.c.conn.Emit(recovery.Event{
		Kind: recovery.ConsumerLost, Entity: f.c.cfg.name, Err: err, Attempt: f.isolation.attempts, Delay: f.isolation.wait,
	})
}

// sitOut waits until the consumer may subscribe; false: s, or the feed, ended meanwhile.
func (f *feed) sitOut(s *recovery.Session) bool {
	left := time.Until(f.isolation.due)
	if left <= 0 {
		return true
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.Conn.Done():
	case <-f.ctx.Done():
	}
	return false
}
