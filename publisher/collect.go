package publisher

import (
	"errors"
	"slices"
	"strings"

	"github.com/warren-mq/warren/core"
)

// collect takes up what the death of a channel left behind, in the order in
// which it was sent, before everything that waits. What was refused keeps
// its pause: first of all it would be refused again. The lock is held, and the
// channel has given all its verdicts.
//
// If the broker closed the channel over a publish, and only one message can
// have been it, that one is refused. With several, the next ones go out in
// smaller groups until it is found; the result tells of that.
func (p *Publisher) collect(cause error) (isolating bool) {
	lost := p.lost
	p.lost = nil
	p.isolation.restart()
	var culprit *Receipt
	refusal := refusedPublish(cause)
	if refusal != nil {
		switch suspects := suspectsOf(slices.Concat(p.ghosts, lost), refusal); len(suspects) {
		case 0:
		case 1:
			culprit = suspects[0]
		default:
			p.isolation.narrow(len(suspects))
			isolating = true
		}
	}
	p.ghosts = nil
	again := lost[:0]
	for _, r := range lost {
		switch {
		case r == culprit:
			p.refuse(r, refusal)
		case p.final(r):
			p.giveUp(r, cause)
		default:
			r.doubted(refusal)
			again = append(again, r)
		}
	}
	p.queue.pushFront(again...)
	return isolating
}

// refuse ends the message that killed the channel. One whose exchange is
// missing soon after a reconnect is sent again, after the others. The lock is held.
func (p *Publisher) refuse(r *Receipt, refusal *core.Error) {
	r.guilty(refusal)
	v := core.Verdict{Outcome: core.Nacked, Err: refusal}
	if refusal.Code == core.ErrNotFound && p.inGrace() && !p.final(r) {
		p.retry(r, v)
		return
	}
	p.finish(r, r.overall(v))
}

// suspectsOf returns those that may have killed the channel: if the broker
// names an exchange, only those that went there.
func suspectsOf(rs []*Receipt, refusal *core.Error) []*Receipt {
	suspects := slices.DeleteFunc(rs, func(r *Receipt) bool { return !r.suspect })
	named := slices.DeleteFunc(slices.Clone(suspects), func(r *Receipt) bool { return !names(refusal.Text, r.pub.Exchange) })
	if len(named) > 0 {
		return named
	}
	return suspects
}

// names reports whether the broker's text is about exchange: RabbitMQ writes
// "no exchange 'orders' in vhost '/'" and "access to exchange 'orders' in …".
func names(text, exchange string) bool {
	return exchange != "" && strings.Contains(text, "exchange '"+exchange+"'")
}

// refusedPublish returns the broker's error if it closed the channel, or the
// connection, over a publish; else nil.
func refusedPublish(cause error) *core.Error {
	e, ok := errors.AsType[*core.Error](cause)
	if !ok || !e.Server || e.Method != "basic.publish" {
		return nil
	}
	return e
}
