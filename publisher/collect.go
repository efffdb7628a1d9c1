package publisher

import (
	"errors"
	"slices"
	"strings"

	"github.com/warren-mq/warren/core"
)

// collect takes up what the death of a channel left behind, in the order in
// which it was sent, before everything that waits. The lock is held, and the
// channel has given all its verdicts.
//
// If the broker closed the channel over a publish, and only one message can
// have been it, that one is refused for good. With several, the next ones go
// out in smaller groups until it is found: see [Publisher.next].
func (p *Publisher) collect(cause error) {
	lost := append(p.refused, p.lost...)
	p.refused, p.lost = nil, nil
	if refusal, blamed := refusedPublish(cause); blamed {
		lost = p.blame(lost, refusal)
	}
	for _, r := range lost {
		r.suspect = false
	}
	p.queue.pushFront(lost)
	p.groupLeft = p.group
}

// blame finishes the message that killed the channel if there is but one
// suspect, else makes the groups smaller. It returns the messages to retry.
// Soon after a reconnect that message is retried too, but after the others.
func (p *Publisher) blame(lost []*Receipt, refusal *core.Error) []*Receipt {
	suspects := 0
	suspect := func(r *Receipt) bool { return r.suspect && names(refusal.Text, r.pub.Exchange) }
	if !slices.ContainsFunc(lost, suspect) { // the text names no exchange of theirs
		suspect = func(r *Receipt) bool { return r.suspect }
	}
	for _, r := range lost {
		if suspect(r) {
			suspects++
		}
	}
	if suspects != 1 {
		p.group = max(1, suspects/2)
		return lost
	}
	i := slices.IndexFunc(lost, suspect)
	if p.inGrace() {
		p.refused = append(p.refused, lost[i])
	} else {
		p.finish(lost[i], core.Verdict{Outcome: core.Nacked, Err: refusal})
	}
	return slices.Delete(lost, i, i+1)
}

// names reports whether the broker's text is about exchange: RabbitMQ writes
// "no exchange 'orders' in vhost '/'" and "access to exchange 'orders' in …".
func names(text, exchange string) bool {
	return exchange != "" && strings.Contains(text, "exchange '"+exchange+"'")
}

// isolating reports whether the message that kills channels is being looked for.
func (p *Publisher) isolating() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.group > 0
}

// refusedPublish returns the broker's error if it closed the channel, or the
// connection, over a publish.
func refusedPublish(cause error) (*core.Error, bool) {
	e, ok := errors.AsType[*core.Error](cause)
	return e, ok && e.Server && e.Method == "basic.publish"
}
