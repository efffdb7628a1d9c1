package publisher

import (
	"context"
	"errors"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// runPublisher is the goroutine that keeps a channel open, sends again what
// was lost, and lets new messages through when that is done.
func (p *Publisher) runPublisher() {
	defer close(p.done)
	reopening, isolating := newThrottle(burst, time.Now()), newThrottle(isolatingBurst, time.Now())
	again := false
	err := p.conn.Each(p.ctx, func(s *session.Session) (done bool, err error) {
		// 1st: a channel in confirm mode.
		conn, ch, err := p.open(s)
		// 2nd: what was lost, then what is new, until the channel dies.
		if err == nil {
			p.begin(s, conn)
			if again {
				p.conn.Emit(recovery.Event{Kind: recovery.EventChannelRestored, Entity: p.cfg.name})
			}
			again = true
			err = p.serve(ch, s)
		}
		sought := p.retire(ch, err)
		if conn != nil && conn != s.Conn {
			p.closeApart(conn)
		}
		switch cleared := errors.Is(err, errCleared); {
		case s.Conn.Err() != nil || p.ctx.Err() != nil:
			return false, nil
		case cleared:
			again = false // nothing was lost
			return false, nil
		}
		// 3rd: only the channel died. If that happens again and again, slower;
		// while a bad message is sought, later.
		p.conn.Emit(recovery.Event{Kind: recovery.EventChannelLost, Entity: p.cfg.name, Err: err})
		switch sought {
		case alone:
			p.pause(max(secondLook, isolating.take(time.Now())), s.Conn)
		case narrowed:
			p.pause(backoff.Jitter(isolating.take(time.Now())), s.Conn)
		default:
			p.pause(backoff.Jitter(reopening.take(time.Now())), s.Conn)
		}
		return false, nil
	})
	if p.ctx.Err() != nil {
		err = context.Cause(p.ctx)
	}
	p.end(err)
}

// openChannel opens a channel on which nothing can be published before confirm
// mode is on: nobody else has it yet.
func openChannel(ctx context.Context, conn *core.Conn) (*core.Channel, error) {
	ch, err := conn.Channel(ctx)
	if err != nil {
		return nil, err
	}
	if err := ch.Confirm(ctx, core.ConfirmSelect{NoWait: true}); err != nil {
		_ = ch.Close(ctx) // the first error counts
		return nil, err
	}
	return ch, nil
}

// open opens a channel on the session's connection; or, while a message is
// sought over which the broker closes the connection, on one that carries nothing else.
func (p *Publisher) open(s *session.Session) (conn *core.Conn, ch *core.Channel, err error) {
	conn = s.Conn
	if p.seeksApart() {
		if conn, err = s.Apart(p.ctx); err != nil {
			return nil, nil, err
		}
	}
	ch, err = openChannel(p.ctx, conn)
	return conn, ch, err
}

// seeksApart reports whether to go on on a connection of its own: not if nothing is left that could be it.
func (p *Publisher) seeksApart() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.trim()
	if p.apart = p.apart && p.queue.len() > 0; !p.apart && p.queue.len() == 0 {
		p.isolation.group = 0
	}
	return p.apart
}

// closeApart closes a connection of the publisher's own. Its channel is dead.
func (p *Publisher) closeApart(conn *core.Conn) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), closeTimeout, core.ErrTimeout)
	defer cancel()
	_ = conn.Close(ctx) // it is dead in any case
}

func (p *Publisher) begin(s *session.Session, conn *core.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session, p.physical, p.unopened = s, conn, nil
}

// serve sends on ch whatever is due until ch dies, or s, and returns why it did.
func (p *Publisher) serve(ch *core.Channel, s *session.Session) error {
	for {
		for r := p.next(ch); r != nil; r = p.next(ch) {
			if err := p.republish(ch, r); err != nil {
				return p.await(ch)
			}
		}
		if p.cleared(false) {
			return errCleared
		}
		select {
		case <-p.work:
		case <-p.retryDue():
			p.retryRefused()
		case <-p.patience():
			if !ch.Flushed() { // the broker cannot have closed the channel over it yet
				continue
			}
			if p.cleared(true) {
				return errCleared
			}
			p.widen()
		case <-ch.Done():
			return ch.Err()
		case <-p.away(s):
			return errSessionLost
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	}
}

// away returns what ends with s if the publisher has a connection of its own, which is to live no longer.
func (p *Publisher) away(s *session.Session) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.physical == s.Conn {
		return nil
	}
	return s.Conn.Done()
}

// groupPatience is how long the verdicts on a group are waited for: a broker
// that closes the channel does so at once, one that confirms may be slow.
const groupPatience = 5 * time.Second

// patience returns what ends the waiting for a group's verdicts, if there is one.
func (p *Publisher) patience() <-chan time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isolation.active() && !p.apart {
		return nil
	}
	return time.After(groupPatience)
}

func (p *Publisher) widen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isolation.widen()
}

// What ends the service of a connection of the publisher's own.
var (
	errCleared     = errors.New("publisher: back on the client's connection")
	errSessionLost = errors.New("publisher: the client's connection was lost") // it says nothing of what was sent here
)

// cleared reports whether everything that was in doubt was sent on a connection
// of its own and had its verdict; or, for an impatient caller, was sent and
// the connection lived.
func (p *Publisher) cleared(impatient bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.apart || p.isolation.active() || p.sent > 0 && !impatient {
		return false
	}
	p.apart = false
	return true
}

// next returns the message to send next, or nil if there is nothing to send
// now. When nothing waits any more new messages may go to ch directly.
func (p *Publisher) next(ch *core.Channel) *Receipt {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ch.Err() == nil && p.isolation.admits(p.sent, p.queue.len()) && (!p.apart || p.isolation.active()) {
		r := p.queue.pop()
		switch {
		case r != nil:
			p.handLocked(r)
			return r
		case !p.isolation.active():
			p.live = ch
			return nil
		}
	}
	return nil
}

// handLocked notes that r is about to be handed to a channel.
func (p *Publisher) handLocked(r *Receipt) {
	r.phase = inFlight
	r.handing = true
	if r.attempts++; r.attempts > 1 {
		p.stats.Republished++
	}
	p.sent++
	p.isolation.sent()
}

// republish sends a message that waited. An error means that ch takes no more.
func (p *Publisher) republish(ch *core.Channel, r *Receipt) error {
	sender := r.ctx // what has begun to watch it may outlast r, which is used again
	ctx, cancel := context.WithCancelCause(p.ctx)
	defer cancel(nil)
	defer context.AfterFunc(sender, func() { cancel(context.Cause(sender)) })()
	err := ch.PublishTo(ctx, &r.pub, (*settler)(r))
	p.mu.Lock()
	defer p.mu.Unlock()
	r.handing = false
	_, invalid := errs.AsType[*core.ValidationError](err)
	if err != nil {
		r.phase = queued
		r.attempts--
		p.landedLocked()
	}
	switch {
	case invalid:
		p.giveUpLocked(r, err)
	case sender.Err() != nil:
		p.giveUpLocked(r, p.waitedLocked(r, ended(sender, err)))
	case err != nil:
		p.queue.pushFront(r)
		return err
	}
	return nil
}

// await waits until ch, which takes no more, has given all its verdicts.
func (p *Publisher) await(ch *core.Channel) error {
	select {
	case <-ch.Done():
		return ch.Err()
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// retryDue returns what ends the pause before something refused is sent again;
// nil: there is nothing.
func (p *Publisher) retryDue() <-chan time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.refused.next()
	if !ok {
		return nil
	}
	return time.After(time.Until(at))
}

func (p *Publisher) retryRefused() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.pushFront(p.refused.take(time.Now())...)
}

// retire takes a dead channel out of use and takes up what it left behind.
func (p *Publisher) retire(ch *core.Channel, cause error) search {
	if ch != nil {
		if ch.Err() == nil { // the publisher ends
			ctx, cancel := context.WithTimeoutCause(context.Background(), closeTimeout, core.ErrTimeout)
			defer cancel()
			_ = ch.Close(ctx) // the channel is dead in any case
		}
		<-ch.Done()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = nil
	sought := p.collectLocked(cause)
	p.session, p.physical = nil, nil
	if p.unopened = nil; ch == nil {
		p.unopened = cause
	}
	return sought
}

// closeTimeout bounds the closing of a channel when the publisher ends.
const closeTimeout = time.Second

// pause waits, unless the publisher or the connection ends first.
func (p *Publisher) pause(d time.Duration, conn *core.Conn) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-conn.Done():
	case <-p.ctx.Done():
	}
}
