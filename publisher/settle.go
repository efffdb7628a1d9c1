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
	p.landedLocked()
	if r.phase == over { // given up in flight
		if r.suspect = v.Outcome == core.OutcomeUnknown; r.suspect {
			p.givenUp = append(p.givenUp, r)
		}
		return
	}
	r.phase = queued
	switch {
	case v.Outcome == core.OutcomeReturned && p.mayDeliver(r):
		r.free = !r.handing
		p.returnedLocked(r, v)
	case v.Outcome == core.OutcomeConfirmed, v.Outcome == core.OutcomeReturned && !p.inGrace():
		r.free = !r.handing
		p.finishLocked(r, v)
	case v.Outcome == core.OutcomeUnknown:
		p.conn.Tally(recovery.Tally{Unknown: 1})
		r.suspect = true
		p.lost = append(p.lost, r)
	case v.Outcome == core.OutcomeNotSent:
		p.conn.Tally(recovery.Tally{NotSent: 1})
		r.attempts--
		p.lost = append(p.lost, r)
	case p.final(r):
		p.finishLocked(r, r.overall(v))
	default: // nacked, or returned within the grace
		p.retryLocked(r, v)
	}
}

// retryLocked has r, which was refused, sent again after a pause that does not
// outlast the grace.
func (p *Publisher) retryLocked(r *Receipt, v core.Verdict) {
	r.refused = v
	p.refused.add(r, time.Now(), p.graceLeftLocked())
	p.ring()
}

// final reports whether r is not to be sent again.
func (p *Publisher) final(r *Receipt) bool {
	return p.cfg.atMostOnce || p.cfg.maxAttempts > 0 && r.attempts >= p.cfg.maxAttempts
}

// landedLocked notes that one message less is in flight.
func (p *Publisher) landedLocked() {
	p.sent--
	if p.isolation.active() || p.apart {
		p.ring()
	}
}

// graceLeftLocked returns for how long routes may still be missing after a
// reconnect; not positive if they may not.
func (p *Publisher) graceLeftLocked() time.Duration {
	if p.session == nil || p.session.Epoch == 1 {
		return 0
	}
	return p.cfg.returnGrace - time.Since(p.session.Since)
}

func (p *Publisher) inGrace() bool { return p.graceLeftLocked() > 0 }

// finishLocked gives r its outcome.
func (p *Publisher) finishLocked(r *Receipt, v core.Verdict) {
	if r.phase == over {
		return
	}
	r.phase, r.verdict = over, v
	p.leaveLocked(r)
	p.stats.count(v.Outcome)
	r.letGo()
	r.announceLocked()
}

// leaveLocked takes r out of the window.
func (p *Publisher) leaveLocked(r *Receipt) {
	p.window.leave(len(r.pub.Body))
	p.vacatedLocked()
}

// vacatedLocked wakes who waits until nothing is in the window, if so.
func (p *Publisher) vacatedLocked() {
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
	p.giveUpLocked(r, p.waitedLocked(r, cause))
	p.trimLocked()
}

// waitedLocked adds to err, with which a sender's context ended, what its message
// waited for, and what keeps it waiting.
func (p *Publisher) waitedLocked(r *Receipt, err error) error {
	what := "a channel"
	switch {
	case r.phase == inFlight:
		what = "the broker's confirm"
	case r.refused.Outcome != core.OutcomePending:
		what = "the next attempt"
	}
	return gate.Waiting(err, what, p.hindranceLocked())
}

// ended returns why ctx ended: err where that says as much and more.
func ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return cause
	}
	return err
}

// hindranceLocked returns what keeps messages waiting, nil if nothing but the broker's confirms.
func (p *Publisher) hindranceLocked() error {
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

// giveUpLocked ends a message that will not be tried again.
func (p *Publisher) giveUpLocked(r *Receipt, cause error) {
	v := core.Verdict{Outcome: core.OutcomeNotSent, Cause: cause}
	if r.phase == inFlight || r.suspect {
		v.Outcome = core.OutcomeUnknown
	}
	p.finishLocked(r, r.overall(v))
}

// minTrim is how many messages are given up before it is worth a look.
const minTrim = 64

// trimLocked lets go of messages that were given up while they waited, so that a
// long outage with impatient senders fills no memory.
func (p *Publisher) trimLocked() {
	if p.abandoned++; p.abandoned < max(minTrim, (p.queue.len()+len(p.refused.list))/2) {
		return
	}
	p.abandoned = 0
	p.queue.trim()
	p.refused.trim()
}
