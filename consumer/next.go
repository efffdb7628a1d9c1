package consumer

import (
	"context"
	"errors"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/internal/offsets"
	"github.com/warren-mq/warren/recovery"
)

// errReady ends a wait for the next delivery: one that has failed is to be handled again.
var errReady = errors.New("consumer: a message is to be handled again")

// next returns the next delivery. It waits for one, across subscriptions, until the feed ends.
func (f *feed) next() (inHand, error) {
	for {
		sub, round, err := f.present()
		if err != nil {
			return inHand{}, err
		}
		if h, ok := f.retried(sub); ok {
			return h, nil
		}
		d, err := f.c.receive(round, sub)
		if err == nil && f.c.cfg.autoAck {
			return inHand{d: d, ctx: f.handlers}, nil // nobody delivers it again: it is never stale
		}
		if err == nil {
			return inHand{d: d, ctx: sub.ctx}, nil
		}
		if !errors.Is(err, errReady) && f.taking(sub).Err() == nil {
			f.unset(sub)
		}
	}
}

// retried returns a delivery that is to be handled again, if there is one and it is its turn: new ones
// and those alternate while there are both, so that neither wait for the other for ever.
func (f *feed) retried(sub *subscription) (inHand, bool) {
	if !f.later.some.Load() {
		return inHand{}, false
	}
	if f.turns.Add(1)%2 != 0 && f.c.offsets.Kind() == offsets.Plain {
		if d, _ := sub.consumer.TryReceive(); d != nil {
			return inHand{d: d, ctx: sub.ctx}, true
		}
	}
	h, ok := f.later.take()
	if ok {
		f.changeSlots()
	}
	return h, ok
}

// taking returns the context in which the deliveries of sub are taken: with automatic ack, and where it
// would cost them a delivery to be given back, longer than new ones are asked for.
func (f *feed) taking(sub *subscription) context.Context {
	switch {
	case f.c.cfg.autoAck:
		return f.handlers
	case sub != nil && sub.finishes:
		return f.finishing
	default:
		return f.ctx
	}
}

// present returns the present subscription, and the context in which to receive from it. It waits while
// there is none.
func (f *feed) present() (*subscription, context.Context, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		taking := f.taking(f.latest)
		switch {
		case f.current != nil && taking.Err() == nil:
			if f.round == nil {
				f.round, f.interrupt = context.WithCancelCause(taking)
			}
			return f.current, f.round, nil
		case f.err != nil:
			return nil, nil, f.err
		case taking.Err() != nil:
			return nil, nil, context.Cause(taking)
		}
		changed := f.changed.Wait()
		f.mu.Unlock()
		_ = gate.Await(taking, changed) // the end is found above
		f.mu.Lock()
	}
}

// release has the workers look at what is to be handled again.
func (f *feed) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endRoundLocked(errReady)
}

// endRoundLocked ends the wait of those who receive.
func (f *feed) endRoundLocked(cause error) {
	if f.round != nil {
		f.interrupt(cause)
		f.round, f.interrupt = nil, nil
	}
}

func (f *feed) set(sub *subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest, f.current = sub, sub
	f.endRoundLocked(errReady) // it may have another context
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
		f.c.conn.Emit(recovery.Event{Kind: recovery.EventConsumerEnded, Entity: f.c.cfg.name, Err: err})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.stopped = err, f.ctx.Err() != nil
	f.changed.Wake()
}

// cause returns why the feed ended.
func (f *feed) cause() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
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
