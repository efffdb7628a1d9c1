package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/recovery"
)

// settle takes a channel's verdict on one attempt: the outcome, or a reason
// to try again. It runs on the connection's reader.
func (p *Publisher) settle(r *Receipt, v core.Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.landed()
	if r.phase == over { // given up in flight
		if r.suspect = v.Outcome == core.OutcomeUnknown; r.suspect {
			p.ghosts = append(p.ghosts, r)
		}
		return
	}
	r.phase = queued
	switch {
	case v.Outcome == core.OutcomeReturned && p.mayDeliver(r):
		r.free = !r.handing
		p.returned(r, v)
	case v.Outcome == core.OutcomeConfirmed, v.Outcome == core.OutcomeReturned && !p.inGrace():
		r.free = !r.handing
		p.finish(r, v)
	case v.Outcome == core.OutcomeUnknown:
		p.conn.Tally(recovery.Tally{Unknown: 1})
		r.suspect = true
		p.lost = append(p.lost, r)
	case v.Outcome == core.OutcomeNotSent:
		p.conn.Tally(recovery.Tally{NotSent: 1})
		r.attempts--
		p.lost = append(p.lost, r)
	case p.final(r):
		p.finish(r, r.overall(v))
	default: // nacked, or returned within the grace
		p.retry(r, v)
	}
}

// retry has r, which was refused, sent again after a pause that does not
// outlast the grace. The lock is held.
func (p *Publisher) retry(r *Receipt, v core.Verdict) {
	r.refused = v
	p.refused.add(r, time.Now(), p.graceLeft())
	p.ring()
}

// final reports whether r is not to be sent again.
func (p *Publisher) final(r *Receipt) bool {
	return p.cfg.atMostOnce || p.cfg.maxAttempts > 0 && r.attempts >= p.cfg.maxAttempts
}

// landed notes that one message less is in flight. The lock is held.
func (p *Publisher) landed() {
	p.sent--
	if p.isolation.active() || p.apart {
		p.ring()
	}
}

// graceLeft returns for how long routes may still be missing after a
// reconnect; not positive if they may not. The lock is held.
func (p *Publisher) graceLeft() time.Duration {
	if p.session == nil || p.session.Epoch == 1 {
		return 0
	}
	return p.cfg.returnGrace - time.Since(p.session.Since)
}

func (p *Publisher) inGrace() bool { return p.graceLeft() > 0 }

// finish gives r its outcome. The lock is held.
func (p *Publisher) finish(r *Receipt, v core.Verdict) {
	if r.phase == over {
		return
	}
	r.phase, r.verdict = over, v
	p.leave(r)
	p.stats.count(v.Outcome)
	r.letGo()
	r.announce()
}

// leave takes r out of the window. The lock is held.
func (p *Publisher) leave(r *Receipt) {
	p.window.leave(len(r.pub.Body))
	p.vacated()
}

// vacated wakes who waits until nothing is in the window, if so. The lock is held.
func (p *Publisher) vacated() {
	if p.window.messages == 0 {
		p.changed.Wake()
	}
}

// abandon ends a message because its sender's context ended with cause. While
// the runner is handing it to a channel, that one notices and ends it: the
// message is borrowed, and must not be given back before.
func (p *Publisher) abandon(r *Receipt, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.handing || r.phase == over {
		return
	}
	p.giveUp(r, p.waited(r, cause))
	p.trim()
}

// waited adds to err, with which a sender's context ended, what its message
// waited for, and what keeps it waiting. The lock is held.
func (p *Publisher) waited(r *Receipt, err error) error {
	what := "a channel"
	switch {
	case r.phase == inFlight:
		what = "the broker's confirm"
	case r.refused.Outcome != core.OutcomePending:
		what = "the next attempt"
	}
	return gate.Waiting(err, what, p.hindrance())
}

// ended returns why ctx ended: err where that says as much and more.
func ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return cause
	}
	return err
}

// hindrance returns what keeps messages waiting, nil if nothing but the broker's confirms. The lock is held.
func (p *Publisher) hindrance() error {
	if p.physical != nil {
		if reason, blocked := p.physical.Blocked(); blocked {
			return fmt.Errorf("%w: %q", core.ErrBlocked, reason)
		}
		return nil
	}
	if p.unopened != nil {
		return fmt.Errorf("no channel: %w", p.unopened)
	}
	switch s := p.conn.State(); {
	case s.Cause != nil:
		return fmt.Errorf("no connection: %w", s.Cause)
	case s.Stage < recovery.StagePublishReady:
		return fmt.Errorf("the connection is %s", s.Stage)
	}
	return nil
}

// giveUp ends a message that will not be tried again. The lock is held.
func (p *Publisher) giveUp(r *Receipt, cause error) {
	v := core.Verdict{Outcome: core.OutcomeNotSent, Cause: cause}
	if r.phase == inFlight || r.suspect {
		v.Outcome = core.OutcomeUnknown
	}
	p.finish(r, r.overall(v))
}

// minTrim is how many messages are given up before it is worth a look.
const minTrim = 64

// trim lets go of messages that were given up while they waited, so that a
// long outage with impatient senders fills no memory. The lock is held.
func (p *Publisher) trim() {
	if p.abandoned++; p.abandoned < max(minTrim, (p.queue.len()+len(p.refused.list))/2) {
		return
	}
	p.abandoned = 0
	p.queue.trim()
	p.refused.trim()
}
