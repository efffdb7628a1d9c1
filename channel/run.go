package channel

import (
	"context"
	"errors"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// runChannel is the goroutine that opens one physical channel after another,
// until the channel or the connection is closed. Whichever end it notices first,
// nothing waits for a channel behind it.
func (ch *Channel) runChannel() {
	physical, err := ch.reopen()
	ch.end(err)
	ch.closed(physical)
}

// reopen opens one physical channel after another. It returns why there will be
// no more, and the last one if that may still be open.
func (ch *Channel) reopen() (physical *core.Channel, err error) {
	b := reopening{}
	err = ch.conn.Each(ch.ctx, func(s *session.Session) (done bool, err error) {
		// 1st: a physical channel.
		opened := time.Now()
		physical, err = ch.open(s)
		// 2nd: whatever its consumers need, until it dies.
		if err == nil {
			err = ch.serve(s, physical)
		}
		if ch.ctx.Err() != nil {
			return true, context.Cause(ch.ctx)
		}
		if physical != nil && physical.Err() == nil {
			_ = closePhysical(physical, abandonLimit) // in any case it is given up
		}
		physical = nil
		if ch.lost(err); ch.hopeless(err) {
			return true, err
		}
		// 3rd: only the channel was lost.
		if s.Conn.Err() == nil {
			wait := backoff.Jitter(b.lost(time.Since(opened)))
			ch.conn.Emit(recovery.Event{Kind: recovery.EventChannelLost, Entity: ch.name, Err: err, Attempt: b.losses, Delay: wait})
			ch.pause(wait)
		}
		return false, nil
	})
	return physical, err
}

// pause waits unless the channel is closed.
func (ch *Channel) pause(d time.Duration) {
	if d == 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ch.ctx.Done():
	}
}

// open opens a physical channel, sets it up completely, consumers included,
// and only then lets calls use it. Consumers that are refused, which costs a
// channel each, are left out.
func (ch *Channel) open(s *session.Session) (*core.Channel, error) {
	for {
		physical, err := s.Conn.Channel(ch.ctx)
		if err != nil {
			return nil, err
		}
		ch.retryRefused(s)
		if err = ch.setUp(s, physical); err == nil {
			return physical, nil
		}
		_ = closePhysical(physical, abandonLimit) // nobody has used it
		if _, again := errs.AsType[errLeftOut](err); !again || ch.ctx.Err() != nil || s.Conn.Err() != nil {
			return nil, err
		}
	}
}

// hopeless reports whether no first channel can be opened.
func (ch *Channel) hopeless(err error) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return !ch.opened && errors.Is(err, core.ErrChannelsExhausted)
}

// How long the broker's answer to the closing of a physical channel is waited for.
const (
	abandonLimit = time.Second
	closeLimit   = 15 * time.Second
)

func closePhysical(physical *core.Channel, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, core.ErrTimeout)
	defer cancel()
	return physical.Close(ctx)
}

// closed closes the last physical channel, if there is one.
func (ch *Channel) closed(physical *core.Channel) {
	if physical == nil {
		return
	}
	err := closePhysical(physical, closeLimit)
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.closing = err
}

// errLeftOut is a consumer, or a mode, that was refused and is left out next time.
type errLeftOut struct{ error }

func (e errLeftOut) Unwrap() error { return e.error }

// setUp puts a physical channel into the state that the last one was in, and
// announces it. What changes meanwhile is caught up with.
func (ch *Channel) setUp(s *session.Session, physical *core.Channel) error {
	physical.OnReturn(ch.returned)
	var applied modes
	for {
		ch.mu.Lock()
		m := ch.modes
		ch.mu.Unlock()
		if err := ch.apply(physical, applied, m); err != nil {
			return err
		}
		applied = m
		if err := ch.restore(s, physical, m.qos); err != nil {
			return err
		}
		if ch.announce(physical, m.version) {
			return nil
		}
	}
}

// apply makes the calls that lead from the modes before to those after.
func (ch *Channel) apply(physical *core.Channel, before, after modes) error {
	if after.hasGlobal && before.global != after.global {
		if err := physical.Qos(ch.ctx, after.global); err != nil {
			return ch.withoutGlobal(err)
		}
	}
	if after.hasQos && before.qos != after.qos {
		if err := physical.Qos(ch.ctx, after.qos); err != nil {
			return err
		}
	}
	if after.confirm && !before.confirm {
		return physical.Confirm(ch.ctx, core.ConfirmSelect{NoWait: true})
	}
	if after.tx && !before.tx {
		return physical.TxSelect(ch.ctx)
	}
	return nil
}

// withoutGlobal notes that the broker takes no qos for the whole channel, if
// that is why it closed the channel or the connection.
func (ch *Channel) withoutGlobal(err error) error {
	if !core.AsError(err).ClosedOver(wire.MethodBasicQos) || recovery.ReasonOf(err) == recovery.ReasonTemporary {
		return err
	}
	ch.mu.Lock()
	ch.modes.hasGlobal = false
	ch.mu.Unlock()
	ch.conn.Emit(recovery.Event{Kind: recovery.EventQosDropped, Entity: ch.name, Err: err})
	return errLeftOut{err}
}

// announce lets calls use the physical channel, unless the modes have changed
// since version.
func (ch *Channel) announce(physical *core.Channel, version int) bool {
	ch.mu.Lock()
	if ch.modes.version != version {
		ch.mu.Unlock()
		return false
	}
	again := ch.opened
	ch.physical, ch.opened, ch.cause = physical, true, nil
	ch.lastQueue = ch.conn.Resolve(ch.lastQueue) // while its earlier name is known
	if ch.modes.tx && ch.tx == nil {
		ch.tx = physical
	}
	ch.changed.Wake()
	ch.mu.Unlock()
	if again {
		ch.conn.Emit(recovery.Event{Kind: recovery.EventChannelRestored, Entity: ch.name})
	}
	ch.tellRestored(physical)
	return true
}

// lost takes the physical channel out of use.
func (ch *Channel) lost(cause error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.physical, ch.cause = nil, cause
	if ch.member != nil {
		ch.member.Missing()
	}
}

// serve looks after the consumers until the physical channel dies.
func (ch *Channel) serve(s *session.Session, physical *core.Channel) error {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		ch.await(physical)
		var due <-chan time.Time
		if at, ok := ch.nextRetry(); ok {
			t.Reset(time.Until(at))
			due = t.C
		}
		select {
		case <-physical.Done():
			return physical.Err()
		case <-ch.ctx.Done():
			return context.Cause(ch.ctx)
		case <-ch.poke:
		case <-due:
		}
		if err := physical.Err(); err != nil {
			return err
		}
		ch.verify(s, physical)
		if err := ch.restoreInTurn(s, physical); err != nil {
			return err
		}
		ch.tellRestored(physical)
		ch.tellTooLarge()
	}
}

// restoreInTurn is restore while calls use the channel too.
func (ch *Channel) restoreInTurn(s *session.Session, physical *core.Channel) error {
	ctx, cancel := ch.during(physical)
	defer cancel()
	if err := ch.takeTurn(ctx); err != nil {
		return err
	}
	defer ch.endTurn()
	return ch.restore(s, physical, ch.currentQos())
}

// during returns a context that ends with the physical channel too: a goroutine that waits
// for something else must not keep the next one from being opened.
func (ch *Channel) during(physical *core.Channel) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ch.ctx)
	ch.conn.Go(func() {
		select {
		case <-physical.Done():
			cancel(physical.Err())
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(nil) }
}

func (ch *Channel) takeTurn(ctx context.Context) error {
	select {
	case ch.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (ch *Channel) endTurn() { <-ch.turn }

func (ch *Channel) returned(r *core.Return) {
	if f := ch.onReturn.Load(); f != nil {
		(*f)(r)
	}
}
