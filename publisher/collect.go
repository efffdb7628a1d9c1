package publisher

import (
	"slices"
	"strings"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
)

// search is what the death of a channel told about the message that is sought.
type search uint8

const (
	nothing  search = iota
	narrowed        // it is among those that go out next, in smaller groups
	alone           // one was alone, and is looked at once more
)

// Over a message that is alone on its connection the broker closes it so often
// before it is refused: 541 is also what RabbitMQ says of faults that pass.
const closingsToBlame = 2

// secondLook is how long after the first that is.
const secondLook = time.Second

// collectLocked takes up what the death of a channel left behind, in the order in
// which it was sent, before everything that waits. What was refused keeps
// its pause: first of all it would be refused again. The channel has given all its verdicts.
//
// If the broker closed the channel over a publish, and only one message can
// have been it, that one is refused. With several, the next ones go out in
// smaller groups until it is found; the result tells of that. If it closed the
// connection, on which others publish too, the search goes on apart from them.
func (p *Publisher) collectLocked(cause error) (found search) {
	lost := p.lost
	p.lost = nil
	p.isolation.restart()
	var offender *Receipt
	refusal := refusedPublish(cause)
	if refusal != nil {
		switch suspects := suspectsOf(slices.Concat(p.givenUp, lost), refusal); {
		case len(suspects) == 0:
		case len(suspects) == 1 && p.blamesLocked(suspects[0], refusal):
			offender = suspects[0]
		default:
			p.isolation.narrow(len(suspects))
			found = narrowed
			if len(suspects) == 1 && p.apart {
				found = alone
			}
		}
	}
	p.givenUp = nil
	again := lost[:0]
	for _, r := range lost {
		switch {
		case r == offender:
			p.refuseLocked(r, refusal)
		case p.final(r):
			p.giveUpLocked(r, cause)
		default:
			r.doubted(refusal)
			again = append(again, r)
		}
	}
	if found != nothing && refusal.ClosedConnection() {
		p.apart = p.apart || len(again) > 0
	}
	p.queue.pushFront(again...)
	return found
}

// blamesLocked reports whether r, the only suspect of this publisher, is to blame.
func (p *Publisher) blamesLocked(r *Receipt, refusal *core.Error) bool {
	if refusal.ClosedChannel() {
		return true
	}
	if p.apart { // else it may have been another publisher's
		r.closings++
	}
	return r.closings >= closingsToBlame
}

// refuseLocked ends the message that killed the channel. One whose exchange is
// missing soon after a reconnect is sent again, after the others.
func (p *Publisher) refuseLocked(r *Receipt, refusal *core.Error) {
	r.offended(refusal)
	v := core.Verdict{Outcome: core.OutcomeNacked, Cause: refusal}
	if refusal.Code == core.ErrNotFound && p.inGrace() && !p.final(r) {
		p.retryLocked(r, v)
		return
	}
	p.finishLocked(r, r.overall(v))
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

// refusedPublish returns the broker's error if it closed the channel over a
// publish, or the connection over what may have been one; else nil.
func refusedPublish(cause error) *core.Error {
	e := core.AsError(cause)
	if e.ClosedOver(wire.MethodBasicPublish) || e.ClosedConnection() && e.MayBeOver(wire.MethodBasicPublish) && isFault(e.Code) {
		return e
	}
	return nil
}

// isFault reports whether a broker that closes the connection with this code
// could not handle what it was sent. RabbitMQ often names no method then.
func isFault(code core.Code) bool {
	switch code {
	case core.ErrFrame, core.ErrSyntax, core.ErrCommandInvalid, core.ErrChannel, core.ErrUnexpectedFrame, core.ErrNotImplemented, core.ErrInternal:
		return true
	}
	return false
}
