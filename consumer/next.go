package consumer

import (
	"context"
	"errors"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/recovery"
)

// next returns the next delivery and the context for its handler. It waits for
// one, across subscriptions, until ctx or the feed ends.
func (f *feed) next(ctx context.Context) (*core.Delivery, context.Context, error) {
	for {
		sub, err := f.present(ctx)
		if err != nil {
			return nil, nil, err
		}
		d, err := f.c.receive(ctx, sub)
		if err == nil && f.c.cfg.autoAck {
			return d, f.handlers, nil // nobody delivers it again: it is never stale
		}
		if err == nil {
			return d, sub.ctx, nil
		}
		if ctx.Err() == nil {
			f.unset(sub)
		}
	}
}

// present returns the present subscription, and waits while there is none.
func (f *feed) present(ctx context.Context) (*subscription, error) {
	f.mu.Lock()
	for {
		switch {
		case ctx.Err() != nil:
			defer f.mu.Unlock()
			return nil, context.Cause(ctx)
		case f.err != nil:
			defer f.mu.Unlock()
			return nil, f.err
		case f.current != nil:
			defer f.mu.Unlock()
			return f.current, nil
		}
		changed := f.changed.Wait()
		f.mu.Unlock()
		if err := gate.Await(ctx, changed); err != nil {
			return nil, err
		}
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

// drain waits until workers have taken everything out of a subscription that
// was cancelled because they were too slow.
func (f *feed) drain(sub *subscription) {
	f.mu.Lock()
	for f.current == sub {
		changed := f.changed.Wait()
		f.mu.Unlock()
		if gate.Await(f.ctx, changed) != nil {
			return
		}
		f.mu.Lock()
	}
	f.mu.Unlock()
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
