package publisher

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/recovery"
)

// runPublisher is the goroutine that keeps a channel open, sends again what
// was lost, and lets new messages through when that is done.
func (p *Publisher) runPublisher() {
	defer close(p.done)
	var after uint64 // sessions up to this epoch are dead
	breaker := newBreaker(time.Now())
	for {
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
			err = p.serve(ch)
		}
		p.retire(ch, err)
		if s.Conn.Err() != nil {
			after = s.Epoch
			continue
		}
		// 4th: only the channel died. If that happens again and again, ever slower.
		if p.ctx.Err() == nil {
			p.conn.Emit(recovery.Event{Kind: recovery.ChannelLost, Entity: p.cfg.name, Err: err})
			if !p.isolating() { // that makes progress each time
				p.pause(breaker.trip(time.Now()), s.Conn)
			}
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
	if err := ch.Confirm(ctx, core.ConfirmSelect{}); err != nil {
		_ = ch.Close(ctx) // the first error counts
		return nil, err
	}
	return ch, nil
}

func (p *Publisher) begin(s *recovery.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session = s
}

// serve sends on ch whatever is due until ch dies, and returns why it did.
func (p *Publisher) serve(ch *core.Channel) error {
	var pause *time.Timer // until what was refused is sent again
	var elapsed <-chan time.Time
	for {
		for r := p.next(ch); r != nil; r = p.next(ch) {
			if err := p.republish(ch, r); err != nil {
				return p.await(ch)
			}
		}
		if delay, ok := p.refusedPause(); ok && pause == nil {
			pause = time.NewTimer(delay)
			defer pause.Stop()
			elapsed = pause.C
		}
		select {
		case <-p.work:
		case <-elapsed:
			pause, elapsed = nil, nil
			p.retryRefused()
		case <-ch.Done():
			return ch.Err()
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	}
}

// next returns the message to send next, or nil if there is nothing to send
// now. When nothing waits any more new messages may go to ch directly.
func (p *Publisher) next(ch *core.Channel) *Receipt {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ch.Err() != nil {
		return nil
	}
	if p.group > 0 && (p.groupLeft == 0 || p.queue.len() == 0) {
		if p.sent > 0 {
			return nil // the group's verdicts first
		}
		p.group *= 2
		p.groupLeft = p.group
		if p.queue.len() == 0 || p.group > p.cfg.maxMessages {
			p.group = 0
		}
	}
	for p.queue.len() > 0 {
		r := p.queue.pop()
		if r.phase == over {
			continue
		}
		r.phase = inFlight
		r.handing = true
		if r.attempts++; r.attempts > 1 {
			p.stats.Republished++
		}
		p.sent++
		p.groupLeft--
		return r
	}
	p.live = ch
	return nil
}

// republish sends a message that waited. An error means that ch takes no more.
func (p *Publisher) republish(ch *core.Channel, r *Receipt) error {
	ctx, cancel := context.WithCancelCause(p.ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.ctx, func() { cancel(context.Cause(r.ctx)) })()
	err := ch.PublishTo(ctx, &r.pub, r)
	p.mu.Lock()
	defer p.mu.Unlock()
	r.handing = false
	_, invalid := errors.AsType[*core.ValidationError](err)
	if err != nil {
		r.phase = queued
		r.attempts--
		p.sent--
	}
	switch {
	case invalid:
		p.giveUp(r, err)
	case r.ctx.Err() != nil:
		p.giveUp(r, context.Cause(r.ctx))
	case err != nil:
		p.queue.pushFront([]*Receipt{r})
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

// refusedPause returns how long to wait before what was refused is sent again.
func (p *Publisher) refusedPause() (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.refused) == 0 {
		return 0, false
	}
	p.refusals++
	return backoff(p.refusals), true
}

func (p *Publisher) retryRefused() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.pushFront(p.refused)
	p.refused = nil
}

// retire takes a dead channel out of use and takes up what it left behind.
func (p *Publisher) retire(ch *core.Channel, cause error) {
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
	p.collect(cause)
	p.session = nil
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

// backoff is a random pause of at most 50 ms for n = 1, doubling up to 5 s.
func backoff(n int) time.Duration {
	limit := 5 * time.Second
	if n < 8 {
		limit = min(limit, 50*time.Millisecond<<(n-1))
	}
	return rand.N(limit) + 1
}
