package consumer

import (
	"context"
	"errors"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/recovery"
)

// next returns the next delivery and the context for its handler. It waits for
// one, across subscriptions, until the feed ends.
func (f *feed) next() (*core.Delivery, context.Context, error) {
	for {
		sub, err := f.present()
		if err != nil {
			return nil, nil, err
		}
		d, err := f.c.receive(f.taking, sub)
		if err == nil && f.c.cfg.autoAck {
			return d, f.handlers, nil // nobody delivers it again: it is never stale
		}
		if err == nil {
			return d, sub.ctx, nil
		}
		if f.taking.Err() == nil {
			f.unset(sub)
		}
	}
}

// present returns the present subscription, and waits while there is none.
func (f *feed) present() (*subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.current != nil && f.taking.Err() == nil:
			return f.current, nil
		case f.err != nil:
			return nil, f.err
		case f.taking.Err() != nil:
			return nil, context.Cause(f.taking)
		}
		changed := f.changed.Wait()
		f.mu.Unlock()
		_ = gate.Await(f.taking, changed) // the end is found above
		f.mu.Lock()
	}
}

func (f *feed) set(sub *subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest, f.current = sub, sub
	f.changed.Wake()
}

func (f *feed) unset(sub *subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == sub {
		f.current = nil
		f.changed.Wake()
	}
}

// drain waits until everything is taken out of a subscription that has ended,
// or the feed is stopped: false.
func (f *feed) drain(sub *subscription) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.current == sub {
		changed := f.changed.Wait()
		f.mu.Unlock()
		err := gate.Await(f.ctx, changed)
		f.mu.Lock()
		if err != nil {
			return false
		}
	}
	return true
}

// end notes why the feed ended, and tells it unless the application has asked for it.
func (f *feed) end(err error) {
	if f.ctx.Err() == nil && !errors.Is(err, core.ErrClosed) {
		f.c.conn.Emit(recovery.Event{Kind: recovery.ConsumerEnded, Entity: f.c.cfg.name, Err: err})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.stopped = err, f.ctx.Err() != nil
	f.changed.Wake()
}

// failure returns why the feed ended, nil if it was stopped.
func (f *feed) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return nil
	}
	return f.err
}
