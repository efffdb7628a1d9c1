package session

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/internal/hook"
	"github.com/warren-mq/warren/recovery"
)

// DefaultEventBuffer is how many events wait for a slow subscriber unless
// [NewDispatcher] is told otherwise.
const DefaultEventBuffer = 1024

// listenerGrace is how long [Dispatcher.Close] waits for a listener that is
// running: it may be the one that called Close.
const listenerGrace = time.Second

// errListening is the error of a Close that found a listener stuck.
var errListening = errors.New("an event listener has not returned")

// Dispatcher brings events to subscribers in the order in which they were
// emitted. [Dispatcher.Emit] never blocks, so that the emitter, with
// whatever lock held, is never stalled by a subscriber; a subscriber may call
// any API and take its time.
//
// Memory is bounded: a slow subscriber has [DefaultEventBuffer] events waiting
// at most. When there are more, a [recovery.EventStageChanged] that a later one supersedes is
// left out, then the oldest events are; their number arrives in a [recovery.EventDropped]
// event. All methods are safe for concurrent use.
type Dispatcher struct {
	limit int
	done  chan struct{} // closed when the listeners' goroutine has ended

	mu        sync.Mutex // guards the following, and every subscription
	listeners []*listener
	listening bool          // the goroutine was started
	calling   bool          // it is inside a listener
	queue     *Subscription // what the listeners are still to be told
	subs      []*Subscription
	closed    bool
	idle      gate.Gate // calling became false
}

// listener is a function, comparable by its address.
type listener struct{ call func(recovery.Event) }

// NewDispatcher returns a dispatcher that keeps up to limit events for each
// slow subscriber; 0 means [DefaultEventBuffer]. Close it.
func NewDispatcher(limit int) *Dispatcher {
	if limit <= 0 {
		limit = DefaultEventBuffer
	}
	return &Dispatcher{limit: limit, done: make(chan struct{})}
}

// Emit hands e to every subscriber. It never blocks; after Close it does nothing.
func (d *Dispatcher) Emit(e recovery.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	for _, s := range d.subs {
		s.queue.push(e)
		s.changed.Wake()
	}
}

// Listen has every event from now on given to f. Listeners are called one
// after the other, so a slow one delays the others, but nothing
// else; one that ends its goroutine with runtime.Goexit ends nothing more. stop ends it: f is not called for later events. f may call stop.
func (d *Dispatcher) Listen(f func(recovery.Event)) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := &listener{f}
	if d.closed {
		return func() {}
	}
	d.listeners = append(d.listeners, l)
	if !d.listening {
		d.listening = true
		d.queue = d.subscribe()
		go d.runListeners(d.queue)
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.listeners = slices.DeleteFunc(slices.Clone(d.listeners), func(other *listener) bool { return other == l })
	}
}

// runListeners is the goroutine that calls the listeners, until Close.
func (d *Dispatcher) runListeners(s *Subscription) {
	defer close(d.done)
	for {
		e, err := s.Next(context.Background()) // Close ends it
		if err != nil {
			return
		}
		d.mu.Lock()
		listeners := d.listeners
		d.calling = true
		d.mu.Unlock()
		for _, l := range listeners {
			if d.listens(l) {
				_ = hook.Do(func() { l.call(e) }) // one that ends its goroutine has had the event
			}
		}
		d.mu.Lock()
		d.calling = false
		d.idle.Wake()
		d.mu.Unlock()
	}
}

func (d *Dispatcher) listens(l *listener) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.listeners, l)
}

// Subscribe returns a subscription to the events from now on. Close it.
func (d *Dispatcher) Subscribe() *Subscription {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.subscribe()
}

func (d *Dispatcher) subscribe() *Subscription {
	s := &Subscription{owner: d, queue: eventQueue{limit: d.limit}, closed: d.closed}
	if !d.closed {
		d.subs = append(d.subs, s)
	}
	return s
}

// Events yields the events from this call on, until ctx ends or the
// dispatcher is closed. If it is not ranged over, it holds its buffer until then.
func (d *Dispatcher) Events(ctx context.Context) iter.Seq[recovery.Event] {
	s := d.Subscribe()
	stop := context.AfterFunc(ctx, s.Close)
	return func(yield func(recovery.Event) bool) {
		defer stop()
		defer s.Close()
		for {
			e, err := s.Next(ctx)
			if err != nil || !yield(e) {
				return
			}
		}
	}
}

// Close ends the dispatcher: what was emitted before is still delivered, then
// subscriptions end. It waits until the listeners have had it, within ctx; a
// listener that keeps running for a second is waited for no longer, and is the
// last one called. Close may be called by a listener, and again.
func (d *Dispatcher) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	for _, s := range d.subs {
		s.closed = true
		s.changed.Wake()
	}
	d.subs = nil
	listening := d.listening
	d.mu.Unlock()
	if !listening {
		return nil
	}
	err := d.awaitListeners(ctx)
	if err != nil {
		d.mu.Lock()
		d.listeners = nil // none is called any more
		d.mu.Unlock()
	}
	return err
}

// awaitListeners waits for the end of the listeners' goroutine. A call that
// lasts longer than the grace is taken for stuck.
func (d *Dispatcher) awaitListeners(ctx context.Context) error {
	grace := time.NewTimer(listenerGrace)
	defer grace.Stop()
	for {
		d.mu.Lock()
		calling, idle := d.calling, d.idle.Wait()
		d.mu.Unlock()
		var stuck <-chan time.Time
		if calling {
			stuck = grace.C
		}
		select {
		case <-d.done:
			return nil
		case <-idle:
			grace.Reset(listenerGrace)
		case <-stuck:
			return errListening
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
