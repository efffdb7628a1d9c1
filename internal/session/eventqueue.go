package session

import "github.com/warren-mq/warren/recovery"

// eventQueue holds events for one subscriber, in order, up to a limit. It is
// pure: the owner's lock guards it.
//
// When it is full, a [recovery.EventStageChanged] that a later one of the same connection
// supersedes makes room; if there is none, the oldest event does, and counts
// as lost. Losses are told by a [recovery.EventDropped] event in their place.
type eventQueue struct {
	limit  int
	events []recovery.Event
	lost   int // dropped since the last pop, all older than events[0]
}

// push adds e.
func (q *eventQueue) push(e recovery.Event) {
	if len(q.events) >= q.limit && !q.coalesce(e) {
		q.lost++
		q.remove(0)
	}
	q.events = append(q.events, e)
}

// coalesce removes the oldest StageChanged that another one in the queue, or
// next, supersedes. It reports whether there was one.
func (q *eventQueue) coalesce(next recovery.Event) bool {
	latest := map[string]bool{}
	if next.Kind == recovery.EventStageChanged {
		latest[next.Connection] = true
	}
	oldest := -1
	for i := len(q.events) - 1; i >= 0; i-- {
		e := &q.events[i]
		if e.Kind != recovery.EventStageChanged {
			continue
		}
		if latest[e.Connection] {
			oldest = i
		}
		latest[e.Connection] = true
	}
	if oldest < 0 {
		return false
	}
	q.remove(oldest)
	return true
}

func (q *eventQueue) remove(i int) {
	copy(q.events[i:], q.events[i+1:])
	q.events[len(q.events)-1] = recovery.Event{} // lets go of what it refers to
	q.events = q.events[:len(q.events)-1]
}

// pop returns the next event, first of all the one that tells of losses.
func (q *eventQueue) pop() (recovery.Event, bool) {
	if len(q.events) == 0 {
		return recovery.Event{}, false
	}
	if q.lost > 0 {
		e := recovery.Event{Kind: recovery.EventDropped, Time: q.events[0].Time, Count: q.lost}
		q.lost = 0
		return e, true
	}
	e := q.events[0]
	q.events[0] = recovery.Event{}
	q.events = q.events[1:]
	return e, true
}
