package state

import (
	"slices"
	"time"
)

// delayedEntry is a message that has come back and that nobody gets before a time.
type delayedEntry struct {
	*Entry
	until time.Time
}

// delays reports whether the queue delays a message that comes back, as failed or not.
func (q *Queue) delays(failed bool) bool {
	if q.vhost.Before43 || q.retryMin <= 0 {
		return false
	}
	switch q.retryType {
	case "all":
		return true
	case "failed":
		return failed
	case "returned":
		return !failed
	}
	return false
}

// delay keeps a message for as many times the shortest delay as it has come back.
func (q *Queue) delay(e *Entry) {
	d := q.retryMin * time.Duration(max(1, e.failed, e.acquired))
	if q.retryMax > 0 {
		d = min(d, q.retryMax)
	}
	until := q.vhost.Now().Add(d)
	q.delayed = append(q.delayed, delayedEntry{e, until})
	q.vhost.due(q, until)
}

// endDelays makes those ready whose delay is over.
func (q *Queue) endDelays() {
	if len(q.delayed) == 0 {
		return
	}
	now := q.vhost.Now()
	q.delayed = slices.DeleteFunc(q.delayed, func(d delayedEntry) bool {
		if d.until.After(now) {
			return false
		}
		q.putBack(d.Entry, Return)
		return true
	})
}
