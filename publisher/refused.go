package publisher

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/warren-mq/warren/internal/backoff"
)

// refused are the messages that were nacked or returned and are to be sent
// again, in the order in which they are due. Each waits longer the more often
// it was refused, whatever becomes of the others.
type refused struct {
	list []*Receipt
	pace float64 // share of the longest pauses, so that many clients do not come together
}

// The longest pause of a message after its first refusal, doubling, and of any.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

func newRefused() refused { return refused{pace: 0.5 + rand.Float64()/2} }

// add has r wait, no longer than limit if that is positive.
func (q *refused) add(r *Receipt, now time.Time, limit time.Duration) {
	r.refusals++
	pause := time.Duration(q.pace * float64(backoff.Bound(r.refusals, firstPause, lastPause)))
	if limit > 0 {
		pause = min(pause, limit)
	}
	r.due = now.Add(pause)
	i := len(q.list)
	for i > 0 && q.list[i-1].due.After(r.due) {
		i--
	}
	q.list = slices.Insert(q.list, i, r)
}

// next returns when the first is due, false if there is none.
func (q *refused) next() (time.Time, bool) {
	if len(q.list) == 0 {
		return time.Time{}, false
	}
	return q.list[0].due, true
}

// take returns those that are due.
func (q *refused) take(now time.Time) []*Receipt {
	n := 0
	for n < len(q.list) && !q.list[n].due.After(now) {
		n++
	}
	due := slices.Clone(q.list[:n])
	q.list = slices.Delete(q.list, 0, n)
	return due
}

// trim lets go of those that were given up.
func (q *refused) trim() {
	q.list = slices.DeleteFunc(q.list, func(r *Receipt) bool { return r.phase == over })
}
