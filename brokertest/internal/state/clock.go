package state

import (
	"maps"
	"slices"
	"time"
)

// Next returns when [VHost.Tick] has something to do, or may have, the zero time for never.
func (v *VHost) Next() time.Time { return v.next }

// due notes that q has something to do at a time.
func (v *VHost) due(q *Queue, at time.Time) {
	v.timed[q] = true
	v.wakeAt(at)
}

func (v *VHost) wakeAt(at time.Time) {
	if v.next.IsZero() || at.Before(v.next) {
		v.next = at
	}
}

// Tick drops messages and queues whose time is over, and routes what was delayed until now.
func (v *VHost) Tick() {
	now := v.Now()
	v.release(now)
	for _, q := range bySerial(slices.Collect(maps.Keys(v.timed))) {
		if q.expires >= 0 && len(q.consumers) == 0 && !q.lastUsed.Add(q.expires).After(now) {
			q.Delete()
			continue
		}
		v.touch(q)
	}
	v.Settle()
	v.next = time.Time{}
	for q := range v.timed {
		if !q.nextDue() {
			delete(v.timed, q)
		}
	}
	if len(v.delayed) > 0 {
		v.wakeAt(v.delayed[0].at)
	}
}

// nextDue notes what the queue waits for. It returns false if that is nothing.
func (q *Queue) nextDue() (waits bool) {
	q.ready.heads(func(e *Entry) {
		if !e.expires.IsZero() {
			q.vhost.due(q, e.expires)
		}
		waits = true // a message without a time may hide others behind it
	})
	for _, d := range q.delayed {
		q.vhost.due(q, d.until)
		waits = true
	}
	if q.expires >= 0 {
		if len(q.consumers) == 0 {
			q.vhost.due(q, q.lastUsed.Add(q.expires))
		}
		waits = true
	}
	return waits
}
