package recovery

import (
	"fmt"
	"slices"
	"time"

	"github.com/warren-mq/warren/topology"
)

// quarantine holds the entities that were refused and are tried again in the
// background. It is pure; the connection's lock guards it.
type quarantine struct {
	budget  Budget
	entries []*patient
}

// patient is one refused entity.
type patient struct {
	Refusal
	key   string
	since time.Time
	due   time.Time
	wait  time.Duration // the last one
	spent bool          // the budget is: it is not tried again on this connection
}

// How long a refused entity waits until it is tried again: at first, and at most.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
	// A broker gives up a dead connection's exclusive queues within two of
	// its heartbeats at most.
	lastLocked = 2 * time.Second
	// Whatever closes connections is tried on one of its own, and rarely.
	firstFatal = time.Minute
	lastFatal  = time.Hour
)

func waits(r Reason) (first, last time.Duration) {
	switch r {
	case Locked:
		return firstRetry, lastLocked
	case Fatal:
		return firstFatal, lastFatal
	default:
		return firstRetry, lastRetry
	}
}

// entityKey tells entities apart, bindings also by their arguments.
func entityKey(entity fmt.Stringer) string {
	if b, ok := entity.(topology.Binding); ok && len(b.Args) > 0 {
		return fmt.Sprintf("%s %v", b, b.Args)
	}
	return entity.String()
}

// refuse takes an entity in, or notes that it was refused again.
func (q *quarantine) refuse(entity fmt.Stringer, err error, now time.Time) Refusal {
	key := entityKey(entity)
	p := q.find(key)
	if p == nil {
		p = &patient{key: key, since: now}
		q.entries = append(q.entries, p)
	}
	reason := Classify(err)
	first, last := waits(reason)
	p.wait = min(max(first, 2*p.wait), last)
	p.due = now.Add(p.wait)
	p.Refusal = Refusal{Entity: entity, Reason: reason, Err: err, Attempts: p.Attempts + 1}
	p.spent = q.budget.spent(p.Attempts, now.Sub(p.since))
	return p.Refusal
}

func (q *quarantine) find(key string) *patient {
	for _, p := range q.entries {
		if p.key == key {
			return p
		}
	}
	return nil
}

// release lets an entity go.
func (q *quarantine) release(key string) {
	q.entries = slices.DeleteFunc(q.entries, func(p *patient) bool { return p.key == key })
}

// reset lets all go but those that close connections, and gives those that
// had used up their budget another chance.
func (q *quarantine) reset() {
	q.entries = slices.DeleteFunc(q.entries, func(p *patient) bool { return p.Reason != Fatal })
	for _, p := range q.entries {
		p.spent = false
	}
}

// due returns those whose time has come, by key.
func (q *quarantine) due(now time.Time) map[string]*patient {
	all := map[string]*patient{}
	for _, p := range q.entries {
		if !p.spent && !p.due.After(now) {
			all[p.key] = p
		}
	}
	return all
}

// next returns when the next one is due; false: none will be.
func (q *quarantine) next() (at time.Time, ok bool) {
	for _, p := range q.entries {
		if !p.spent && (!ok || p.due.Before(at)) {
			at, ok = p.due, true
		}
	}
	return at, ok
}

// fatal reports whether the entity is known to close connections.
func (q *quarantine) fatal(key string) bool {
	p := q.find(key)
	return p != nil && p.Reason == Fatal
}

// nudge makes those due that missed something, which may be there now.
func (q *quarantine) nudge(now time.Time) {
	for _, p := range q.entries {
		if p.Reason == Missing {
			p.due = now
		}
	}
}

// postpone lets an entity wait twice as long as before.
func (q *quarantine) postpone(key string, now time.Time) {
	if p := q.find(key); p != nil {
		_, last := waits(p.Reason)
		p.wait = min(2*p.wait, last)
		p.due = now.Add(p.wait)
	}
}

// keys returns the keys of all.
func (q *quarantine) keys() map[string]bool {
	all := map[string]bool{}
	for _, p := range q.entries {
		all[p.key] = true
	}
	return all
}

func (q *quarantine) failures() []Failure {
	var all []Failure
	for _, p := range q.entries {
		all = append(all, Failure{p.Entity.String(), p.Err})
	}
	return all
}
