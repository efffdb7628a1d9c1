package session

import (
	"context"
	"slices"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/recovery"
)

// Subscription is a place in the stream of events. Its events wait in a
// buffer of its own, bounded as [Dispatcher] says. All methods are safe for
// concurrent use; an event goes to one of those who wait.
type Subscription struct {
	owner *Dispatcher

	// Guarded by the owner's lock.
	queue   eventQueue
	closed  bool
	changed gate.Gate
}

// Next returns the next event and waits for one until ctx ends. After the
// dispatcher's or its own Close it returns what had come before, then
// [core.ErrClosed].
func (s *Subscription) Next(ctx context.Context) (recovery.Event, error) {
	for {
		e, wait, err := s.take()
		if wait == nil {
			return e, err
		}
		if err := gate.Await(ctx, wait); err != nil {
			return recovery.Event{}, err
		}
	}
}

// take returns the next event, the end, or what to wait for.
func (s *Subscription) take() (e recovery.Event, wait <-chan struct{}, err error) {
	s.owner.mu.Lock()
	defer s.owner.mu.Unlock()
	e, ok := s.queue.pop()
	switch {
	case ok:
		return e, nil, nil
	case s.closed:
		return e, nil, core.ErrClosed
	}
	return e, s.changed.Wait(), nil
}

// Close ends the subscription. It is safe to call again.
func (s *Subscription) Close() {
	d := s.owner
	d.mu.Lock()
	defer d.mu.Unlock()
	d.subs = slices.DeleteFunc(d.subs, func(other *Subscription) bool { return other == s })
	s.closed = true
	s.changed.Wake()
}
