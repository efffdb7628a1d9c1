package publisher

import (
	"time"

	"github.com/warren-mq/warren/core"
)

// settle takes a channel's verdict on one attempt: the outcome, or a reason
// to try again. It runs on the connection's reader.
func (p *Publisher) settle(r *Receipt, v core.Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.phase == over { // its context ended
		return
	}
	r.phase = queued
	p.sent--
	switch {
	case v.Outcome == core.Confirmed:
		p.refusals = 0
		p.finish(r, v)
	case v.Outcome == core.Returned && !p.inGrace():
		p.finish(r, v)
	case p.cfg.atMostOnce, p.cfg.maxAttempts > 0 && r.attempts >= p.cfg.maxAttempts:
		p.finish(r, r.overall(v))
	case v.Outcome == core.Unknown || v.Outcome == core.NotSent:
		r.suspect = v.Outcome == core.Unknown
		r.maybeSent = r.maybeSent || r.suspect
		p.lost = append(p.lost, r)
	default: // nacked, or returned within the grace
		p.refused = append(p.refused, r)
		p.ring()
	}
	if p.group > 0 {
		p.ring()
	}
}

// overall is the outcome of a message whose last attempt ended with v: if an
// earlier attempt may have reached the broker, nobody can say that it did not.
func (r *Receipt) overall(v core.Verdict) core.Verdict {
	if r.maybeSent && (v.Outcome == core.NotSent || v.Outcome == core.Nacked) {
		v.Outcome = core.Unknown
	}
	return v
}

// inGrace reports whether routes may still be missing after a reconnect. The lock is held.
func (p *Publisher) inGrace() bool {
	return p.session != nil && p.session.Epoch > 1 && time.Since(p.session.Since) < p.cfg.returnGrace
}

// finish gives r its outcome. The lock is held.
func (p *Publisher) finish(r *Receipt, v core.Verdict) {
	if r.phase == over {
		return
	}
	if r.phase == inFlight {
		p.sent--
	}
	r.phase = over
	r.verdict = v
	if r.done != nil {
		close(r.done)
	}
	if r.stop != nil {
		r.stop()
	}
	p.open--
	p.openBytes -= len(r.pub.Body)
	p.stats.count(v.Outcome)
	p.changed.Wake()
}

// abandon ends a message because its sender's context ended with cause. While
// the runner is handing it to a channel, that one notices and ends it: the
// message is borrowed, and must not be given back before.
func (p *Publisher) abandon(r *Receipt, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !r.handing {
		p.giveUp(r, cause)
	}
}

// giveUp ends a message that will not be tried again. The lock is held.
func (p *Publisher) giveUp(r *Receipt, cause error) {
	v := core.Verdict{Outcome: core.NotSent, Err: cause}
	if r.phase == inFlight || r.maybeSent {
		v.Outcome = core.Unknown
	}
	p.finish(r, v)
}
