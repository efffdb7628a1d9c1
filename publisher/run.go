package publisher

import (
	"context"
	"errors"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/recovery"
)

// runPublisher is the goroutine that keeps a channel open, sends again what
// was lost, and lets new messages through when that is done.
func (p *Publisher) runPublisher() {
	defer close(p.done)
	var after uint64 // sessions up to this epoch are dead
	breaker, isolating := newBreaker(burst, time.Now()), newBreaker(isolatingBurst, time.Now())
	for again := false; ; {
		// 1st: a session.
		s, err := p.conn.SessionAfter(p.ctx, after)
		if p.ctx.Err() != nil {
			err = context.Cause(p.ctx)
		}
		if err != nil {
			p.end(err)
			return
		}
		// 2nd: a channel in confirm mode.
		ch, err := openChannel(p.ctx, s.Conn)
		// 3rd: what was lost, then what is new, until the channel dies.
		if err == nil {
			p.begin(s)
			if again {
				p.conn.Emit(recovery.Event{Kind: recovery.ChannelRestored, Entity: p.cfg.name})
			}
			again = true
			err = p.serve(ch)
		}
		sought := p.retire(ch, err)
		if s.Conn.Err() != nil {
			after = s.Epoch
			continue
		}
		// 4th: only the channel died. If that happens again and again, slower;
		// while a bad message is sought, later.
		if p.ctx.Err() != nil {
			continue
		}
		p.conn.Emit(recovery.Event{Kind: recovery.ChannelLost, Entity: p.cfg.name, Err: err})
		if sought {
			p.pause(isolating.trip(time.Now()), s.Conn)
		} else {
			p.pause(breaker.trip(time.Now()), s.Conn)
		}
	}
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

func (p *Publisher) begin(s *recovery.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session, p.unopened = s, nil
}

// serve sends on ch whatever is due until ch dies, and returns why it did.
func (p *Publisher) serve(ch *core.Channel) error {
	for {
		for r := p.next(ch); r != nil; r = p.next(ch) {
			if err := p.republish(ch, r); err != nil {
				return p.await(ch)
			}
		}
		select {
		case <-p.work:
		case <-p.retryDue():
			p.retryRefused()
		case <-p.patience():
			if ch.Flushed() { // else the broker cannot have closed the channel over it yet
				p.widen()
			}
		case <-ch.Done():
			return ch.Err()
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	}
}

// groupPatience is how long the verdicts on a group are waited for: a broker
// that closes the channel does so at once, one that confirms may be slow.
const groupPatience = 5 * time.Second

// patience returns what ends the waiting for a group's verdicts, if there is one.
func (p *Publisher) patience() <-chan time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isolation.active() {
		return nil
	}
	return time.After(groupPatience)
}

func (p *Publisher) widen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isolation.widen()
}

// next returns the message to send next, or nil if there is nothing to send
// now. When nothing waits any more new messages may go to ch directly.
func (p *Publisher) next(ch *core.Channel) *Receipt {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ch.Err() == nil && p.isolation.admits(p.sent, p.queue.len()) {
		r := p.queue.pop()
		switch {
		case r != nil:
			p.hand(r)
			return r
		case !p.isolation.active():
			p.live = ch
			return nil
		}
	}
	return nil
}

// hand notes that r is about to be handed to a channel. The lock is held.
func (p *Publisher) hand(r *Receipt) {
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
	err := ch.PublishTo(ctx, &r.pub, r)
	p.mu.Lock()
	defer p.mu.Unlock()
	r.handing = false
	_, invalid := errors.AsType[*core.ValidationError](err)
	if err != nil {
		r.phase = queued
		r.attempts--
		p.landed()
	}
	switch {
	case invalid:
		p.giveUp(r, err)
	case sender.Err() != nil:
		p.giveUp(r, p.waited(r, ended(sender, err)))
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
func (p *Publisher) retire(ch *core.Channel, cause error) (isolating bool) {
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
	isolating = p.collect(cause)
	p.session = nil
	if p.unopened = nil; ch == nil {
		p.unopened = cause
	}
	return isolating
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
