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

// deadLetter publishes a message that has died in q to the queue's dead-letter exchange, if it has one.
func (v *VHost) deadLetter(q *Queue, e *Entry, reason string) {
	m := e.Message
	x := v.exchanges[q.deadLetter]
	if !q.hasDeadLetter || x == nil {
		return
	}
	dead := *m
	dead.Exchange = x.Name
	if q.hasKey {
		dead.Key, dead.MoreKeys, dead.bcc = q.deadLetterKey, nil, nil
	}
	dead.HasTTL, dead.TTL = false, 0
	if !v.Before43 {
		dead.failed = e.failed
	}
	dead.edit(func(p *wire.Properties) { recordDeath(p, q, m, reason, v.Now()) })
	for _, target := range slices.Clone(v.Route(x, &dead)) {
		if reason == deathRejected || !diedIn(&dead, target.Name) {
			target.publish(&dead)
		}
	}
}

// diedIn reports whether the message goes in a circle: it has died in the queue before, and was never
// rejected by a client.
func diedIn(m *Message, queue string) bool {
	deaths, _ := m.Headers()["x-death"].([]any)
	found := false
	for _, d := range deaths {
		t, _ := d.(wire.Table)
		if t["reason"] == deathRejected {
			return false
		}
		found = found || t["queue"] == queue
	}
	return found
}

// recordDeath writes RabbitMQ's headers about a death.
func recordDeath(p *wire.Properties, q *Queue, m *Message, reason string, now time.Time) {
	if p.Headers == nil {
		p.Headers = wire.Table{}
	}
	keys := []any{m.Key}
	for _, k := range m.MoreKeys {
		if !slices.Contains(m.bcc, k) {
			keys = append(keys, k)
		}
	}
	fresh := wire.Table{
		"count": int64(1), "exchange": m.Exchange, "queue": q.Name, "reason": reason,
		"routing-keys": keys, "time": now.UTC().Truncate(time.Second),
	}
	if m.HasTTL {
		fresh["original-expiration"] = strconv.FormatInt(m.TTL.Milliseconds(), 10)
		p.Expiration = ""
	}
	deaths, _ := p.Headers["x-death"].([]any)
	p.Headers["x-death"] = addDeath(deaths, fresh)
	if !q.vhost.Before40 {
		setDeath(p.Headers, "x-last-death-", q.Name, reason, m.Exchange)
	}
	if _, ok := p.Headers["x-first-death-queue"]; !ok {
		setDeath(p.Headers, "x-first-death-", q.Name, reason, m.Exchange)
	}
}

func setDeath(h wire.Table, prefix, queue, reason, exchange string) {
	h[prefix+"queue"], h[prefix+"reason"], h[prefix+"exchange"] = queue, reason, exchange
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
