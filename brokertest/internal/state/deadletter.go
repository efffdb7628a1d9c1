package state

import (
	"slices"
	"strconv"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Reasons for which a message leaves a queue without being acknowledged.
const (
	deathRejected      = "rejected"
	deathExpired       = "expired"
	deathMaxLength     = "maxlen"
	deathDeliveryLimit = "delivery_limit"
)

// maxHops is how often a message may die without a client having rejected it. No circle gets there, but a chain
// of very many queues would, and keep everyone waiting meanwhile.
const maxHops = 200

// deadLetter publishes a message that has died in q to the queue's dead-letter exchange, if it has one.
func (v *VHost) deadLetter(q *Queue, e *Entry, reason string) {
	m := e.Message
	x := v.exchanges[q.deadLetter]
	if !q.hasDeadLetter || x == nil {
		return
	}
	dead := *m
	if dead.hops++; reason == deathRejected {
		dead.hops = 0
	}
	if dead.hops > maxHops {
		return
	}
	dead.Exchange = x.Name
	if q.hasKey {
		dead.Key, dead.MoreKeys, dead.bcc = q.deadLetterKey, nil, nil
	}
	dead.HasTTL, dead.TTL = false, 0
	if !v.Before43 {
		dead.failed = e.failed
	}
	past := v.deaths(m)
	dead.deaths = addDeath(past, newDeath(q, m, reason))
	dead.edit(func(p *wire.Properties) { writeDeaths(p, q, dead.deaths, len(past) == 0) })
	for _, target := range slices.Clone(v.Route(x, &dead)) {
		if v.Before40 && target.Kind == kindStream || !target.canHold(&dead) {
			continue // RabbitMQ 3.10 forgets to publish dead letters to streams
		}
		if reason == deathRejected || !dead.circles(target.Name) {
			target.publish(&dead)
		}
	}
}

// deaths returns the deaths of a message, as its header x-death tells of them. What a client tells of there, only
// RabbitMQ 3.10 believes.
func (v *VHost) deaths(m *Message) []any {
	if m.deaths == nil && v.Before40 {
		told, _ := m.Headers()["x-death"].([]any)
		return told
	}
	return m.deaths
}

// circles reports whether a message would come to a queue again that it has died in, and no client has rejected
// it since.
func (m *Message) circles(queue string) bool {
	for _, d := range m.deaths {
		switch t, _ := d.(wire.Table); {
		case t["reason"] == deathRejected || t == nil: // no table: a client's word
			return false
		case t["queue"] == queue:
			return true
		}
	}
	return false
}

// newDeath tells of a death as RabbitMQ does.
func newDeath(q *Queue, m *Message, reason string) wire.Table {
	keys := []any{m.Key}
	for _, k := range m.MoreKeys {
		if !slices.Contains(m.bcc, k) {
			keys = append(keys, k)
		}
	}
	death := wire.Table{
		"count": int64(1), "exchange": m.Exchange, "queue": q.Name, "reason": reason,
		"routing-keys": keys, "time": q.vhost.Now().UTC().Truncate(time.Second),
	}
	if m.HasTTL {
		death["original-expiration"] = strconv.FormatInt(m.TTL.Milliseconds(), 10)
	}
	return death
}

// addDeath puts a death at the front of the list, counted up if the queue and reason were there before.
func addDeath(deaths []any, fresh wire.Table) []any {
	for i, d := range deaths {
		t, _ := d.(wire.Table)
		if t["queue"] == fresh["queue"] && t["reason"] == fresh["reason"] {
			n, _ := integer(t["count"])
			t = t.Clone()
			t["count"] = n + 1
			return append([]any{t}, slices.Delete(slices.Clone(deaths), i, i+1)...)
		}
	}
	return append([]any{fresh}, deaths...)
}

// writeDeaths writes RabbitMQ's headers about the deaths, the last one first.
func writeDeaths(p *wire.Properties, q *Queue, deaths []any, first bool) {
	if p.Headers == nil {
		p.Headers = wire.Table{}
	}
	_, told := p.Headers["x-death"]
	p.Headers["x-death"] = deaths
	p.Expiration = ""
	last := deaths[0].(wire.Table)
	if q.vhost.Before40 {
		if first && !told {
			setDeath(p.Headers, "x-first-death-", last)
		}
		if q.hasKey {
			delete(p.Headers, "CC")
		}
		return
	}
	setDeath(p.Headers, "x-last-death-", last)
	if first {
		setDeath(p.Headers, "x-first-death-", last)
	}
}

func setDeath(h wire.Table, prefix string, death wire.Table) {
	for _, key := range []string{"queue", "reason", "exchange"} {
		h[prefix+key] = death[key]
	}
}
