package consumer

import (
	"time"

	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/internal/session"
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
	wait     backoff.Wait
	delay    time.Duration // the last one
	due      time.Time
}

// How long a consumer that was refused in this way waits: at first, and at most.
const (
	firstIsolation = 5 * time.Second
	lastIsolation  = time.Hour
)

// refused notes that the broker closed the connection over this consumer.
func (i *isolation) refused(now time.Time) {
	i.attempts++
	i.delay = backoff.Jitter(i.wait.Next(firstIsolation, lastIsolation))
	i.due = now.Add(i.delay)
}

// isolated reports that the broker closed the connection over this consumer.
func (f *feed) isolated(err error) {
	f.member.Failed(err)
	f.c.conn.Emit(recovery.Event{
		Kind: recovery.EventConsumerLost, Entity: f.c.cfg.name, Err: err, Attempt: f.isolation.attempts, Delay: f.isolation.delay,
	})
}

// awaitDue waits until the consumer may subscribe; false: s, or the feed, ended meanwhile.
func (f *feed) awaitDue(s *session.Session) bool {
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
