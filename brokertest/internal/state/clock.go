package state

import "time"

// Next returns when [VHost.Tick] has something to do, the zero time for never.
func (v *VHost) Next() time.Time {
	var next time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for q := range v.timed {
		n := 0
		q.ready.heads(func(e *Entry) { earlier(e.expires); n++ })
		if q.expires >= 0 && len(q.consumers) == 0 {
			earlier(q.lastUsed.Add(q.expires))
			n++
		}
		if n == 0 && q.expires < 0 {
			delete(v.timed, q)
		}
	}
	return next
}

// Tick drops messages and queues whose time is over.
func (v *VHost) Tick() {
	now := v.Now()
	for q := range v.timed {
		if q.expires >= 0 && len(q.consumers) == 0 && !q.lastUsed.Add(q.expires).After(now) {
			q.Delete()
			continue
		}
		v.touch(q)
	}
	v.Settle()
}
