package state

import "time"

// Outcome is what became of a publish.
type Outcome struct {
	Routed   bool // to a queue at least
	Rejected bool // by a queue at least
	Unfit    bool // a stream cannot hold it
}

// Publish puts a message into all queues that it is routed to.
func (v *VHost) Publish(x *Exchange, m *Message) Outcome {
	var out Outcome
	for _, q := range v.Route(x, m) {
		out.Routed = out.Routed || q.reply == nil || !v.Before43
		if !q.canHold(m) {
			out.Unfit = true // the other queues have it all the same
			continue
		}
		if !q.publish(m) {
			out.Rejected = true
		}
	}
	return out
}

// CheckPublish refuses a publish to an exchange that clients cannot publish to.
func (x *Exchange) CheckPublish() *Refusal {
	if x.Internal {
		return Refuse(AccessRefused, "cannot publish to internal %s", x.vhost.resource("exchange", x.Name))
	}
	return nil
}

// publish reports whether the queue has taken the message.
func (q *Queue) publish(m *Message) bool {
	if q.reply != nil {
		q.reply(m)
		return true
	}
	if q.Kind == kindStream {
		q.log.append(q.vhost.asStreams(m), q.vhost.Now(), &q.limits)
		q.vhost.touch(q)
		return true
	}
	if q.rejectPublish && q.refuses(m) {
		if q.rejectDLX {
			q.vhost.deadLetter(q, &Entry{Message: m}, deathMaxLength)
		}
		return false
	}
	q.positions++
	e := &Entry{Message: m, Redelivered: m.failed > 0, failed: m.failed, position: q.positions}
	if ttl := q.messageTTL(m); ttl >= 0 {
		e.expires = q.vhost.Now().Add(ttl)
		q.vhost.due(q, e.expires)
	}
	q.ready.push(e)
	if q.ready.len == 1 && !e.expires.IsZero() {
		q.deliver() // even a message without any time reaches a consumer that waits
	}
	q.vhost.touch(q)
	return true
}

// messageTTL is the shorter of the message's and the queue's, negative for none.
func (q *Queue) messageTTL(m *Message) time.Duration {
	switch {
	case !m.HasTTL:
		return q.ttl
	case q.ttl < 0:
		return m.TTL
	}
	return min(q.ttl, m.TTL)
}

// settle delivers, then drops what has expired and what is too much.
func (q *Queue) settle() {
	if q.deleted {
		return
	}
	if q.Kind == kindStream {
		q.settleStream()
		return
	}
	q.endDelays()
	q.dispatch()
	q.dropExpired()
	if q.rejectPublish {
		q.judgeLength()
	} else {
		for q.overLength() {
			q.vhost.deadLetter(q, q.ready.pop(), deathMaxLength)
		}
	}
	if q.expires >= 0 || q.vhost.timed[q] {
		q.nextDue()
	}
}

// dropExpired drops messages at the head of the queue whose time is over. Behind the head they stay, as in
// RabbitMQ.
func (q *Queue) dropExpired() {
	if !q.vhost.timed[q] {
		return
	}
	now := q.vhost.Now()
	fresh := func(e *Entry) bool { return e.expires.IsZero() || e.expires.After(now) }
	for e := q.ready.expired(fresh); e != nil; e = q.ready.expired(fresh) {
		q.vhost.deadLetter(q, e, deathExpired)
	}
}
