package session

import (
	"container/list"
	"fmt"
	"slices"
	"time"

	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// quarantine holds the entities that were refused and are tried again in the
// background. It is pure; the connection's lock guards it.
type quarantine struct {
	budget  recovery.Budget
	entries map[string]*list.Element // of order, by entityKey
	order   list.List                // of *entry, as they came
	held    held
	pace    backoff.Pace
}

// entry is one refused entity.
type entry struct {
	recovery.Refusal
	key   string
	since time.Time
	tried int // the round of held in which it was last refused
	due   time.Time
	wait  backoff.Wait
	spent bool // the budget is: it is not tried again on this connection
}

// How long a refused entity waits until it is tried again: at first, and at most.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
	// What is missing is often just being taken away by the end of the last
	// connection: an auto-delete queue, and an exchange with its last binding.
	firstMissing = 100 * time.Millisecond
	// Another client may give a locked queue up at any time.
	lastLocked = 2 * time.Second
	// Whatever closes connections is tried on one of its own, and rarely.
	firstFatal = time.Minute
	lastFatal  = time.Hour
)

// Waits returns the bounds of the waits between attempts at what was refused for a reason.
func Waits(r recovery.Reason) (first, last time.Duration) {
	switch r {
	case recovery.ReasonLocked:
		return firstRetry, lastLocked
	case recovery.ReasonMissing:
		return firstMissing, lastRetry
	case recovery.ReasonFatal:
		return firstFatal, lastFatal
	default:
		return firstRetry, lastRetry
	}
}

// entityKey tells entities apart, bindings also by their arguments.
func entityKey(entity topology.Entity) string {
	if b, ok := entity.(topology.Binding); ok && len(b.Arguments) > 0 {
		return fmt.Sprintf("%s %v", b, b.Arguments)
	}
	return entity.String()
}

// admit returns the entry of an entity, a new one if there is none.
func (q *quarantine) admit(entity topology.Entity, now time.Time) *entry {
	key := entityKey(entity)
	p := q.find(key)
	if p == nil {
		p = &entry{key: key, since: now}
		if q.entries == nil {
			q.entries = map[string]*list.Element{}
		}
		q.entries[key] = q.order.PushBack(p)
	}
	return p
}

// refuse takes an entity in, or notes that it was refused again.
func (q *quarantine) refuse(entity topology.Entity, err error, now time.Time) recovery.Refusal {
	p := q.admit(entity, now)
	reason := recovery.ReasonOf(err)
	first, last := Waits(reason)
	p.due = now.Add(q.pace.Of(p.wait.Next(first, last)))
	p.Refusal = recovery.Refusal{Entity: entity, Reason: reason, Err: err, Attempts: p.Attempts + 1}
	p.spent = q.budget.Spent(p.Attempts, now.Sub(p.since))
	if queue, ok := entity.(topology.Queue); ok && queue.Exclusive && reason == recovery.ReasonLocked {
		p.tried = q.held.rounds + 1
		q.held.add(p, now)
	} else {
		q.held.remove(p)
	}
	return p.Refusal
}

// hold takes an exclusive queue in without having tried it, for others were
// refused as locked with err.
func (q *quarantine) hold(entity topology.Entity, err error, now time.Time) {
	p := q.admit(entity, now)
	p.Refusal = recovery.Refusal{Entity: entity, Reason: recovery.ReasonLocked, Err: err, Attempts: p.Attempts}
	q.held.add(p, now)
}

func (q *quarantine) find(key string) *entry {
	if e := q.entries[key]; e != nil {
		return e.Value.(*entry)
	}
	return nil
}

// all iterates over the entries, as they came.
func (q *quarantine) all(yield func(*entry) bool) {
	for e := q.order.Front(); e != nil; {
		p := e.Value.(*entry)
		if e = e.Next(); !yield(p) {
			return
		}
	}
}

// release lets an entity go.
func (q *quarantine) release(key string) {
	if e := q.entries[key]; e != nil {
		q.held.remove(e.Value.(*entry))
		q.order.Remove(e)
		delete(q.entries, key)
	}
}

// renamed has the bindings of a queue follow it to its new name.
func (q *quarantine) renamed(queue, name string) {
	for p := range q.all {
		b, ok := p.Entity.(topology.Binding)
		if !ok || b.ToExchange || b.Destination != queue {
			continue
		}
		e := q.entries[p.key]
		delete(q.entries, p.key)
		b.Destination = name
		p.Entity, p.key = b, entityKey(b)
		q.entries[p.key] = e
	}
}

// reset lets all go but those that close connections, and gives those that
// had used up their budget another chance. If the last connection was given up
// because the broker was too slow, it also keeps what was not answered: each
// connection would spend its time on that again.
func (q *quarantine) reset(slow bool) {
	for p := range q.all {
		if p.Reason != recovery.ReasonFatal && (p.Reason != recovery.ReasonTemporary || !slow) {
			q.release(p.key)
		}
		p.spent = false
	}
	q.held = held{patience: q.held.patience, pace: q.pace}
}

// due returns those whose time has come, without those that are held, and
// bindings that lead there: they come back together.
func (q *quarantine) due(now time.Time) map[*entry]bool {
	all := map[*entry]bool{}
	for p := range q.all {
		if q.held.queues[p.key] == nil && !p.spent && !p.due.After(now) && !q.held.needsHeld(p.Entity) {
			all[p] = true
		}
	}
	return all
}

// next returns when the next one is due, or those that are held; false: none will be.
func (q *quarantine) next() (at time.Time, ok bool) {
	for p := range q.all {
		due := p.due
		if q.held.queues[p.key] != nil {
			due = q.held.due
		}
		if !p.spent && (!ok || due.Before(at)) && !q.held.needsHeld(p.Entity) {
			at, ok = due, true
		}
	}
	return at, ok
}

// inOwnTime reports whether the entity is to be tried in its own time only: it closes
// connections, or a broker that is too slow has not answered, and may do it yet.
func (q *quarantine) inOwnTime(key string) bool {
	p := q.find(key)
	return p != nil && (p.Reason == recovery.ReasonFatal || p.Reason == recovery.ReasonTemporary)
}

// nudge makes those due that missed something, which may be there now, also
// those that had used up their budget.
func (q *quarantine) nudge(now time.Time) {
	for p := range q.all {
		if p.Reason == recovery.ReasonMissing {
			p.due, p.spent = now, false
		}
	}
}

// postpone lets an entity wait twice as long as before.
func (q *quarantine) postpone(key string, now time.Time) {
	if p := q.find(key); p != nil {
		_, last := Waits(p.Reason)
		p.due = now.Add(q.pace.Of(p.wait.Again(last)))
	}
}

// putOff lets all wait that are due, and were not tried though it was time.
func (q *quarantine) putOff(now time.Time) {
	for p := range q.due(now) {
		q.postpone(p.key, now)
	}
	if len(q.held.queues) > 0 && !q.held.due.After(now) {
		q.held.ended(false, now)
	}
}

// keys returns the keys of all.
func (q *quarantine) keys() map[string]bool {
	all := map[string]bool{}
	for key := range q.entries {
		all[key] = true
	}
	return all
}

func (q *quarantine) failures() []recovery.Failure {
	all := make([]recovery.Failure, 0, len(q.entries))
	for p := range q.all {
		all = append(all, recovery.Failure{Entity: p.Entity.String(), Err: p.Err})
	}
	return slices.Clip(all)
}
