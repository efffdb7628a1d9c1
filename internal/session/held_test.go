package session

import (
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

func TestHeldWaits(t *testing.T) {
	var q quarantine
	q.held.patience = 10 * time.Second
	begun := time.Now()
	locked := closed(core.ScopeChannel, core.ErrResourceLocked, "")
	q.refuse(topology.Queue{Name: "a", Exclusive: true}, locked, begun)
	q.hold(topology.Queue{Name: "b", Exclusive: true}, locked, begun)
	q.refuse(topology.Queue{Name: "shared"}, locked, begun) // somebody's exclusive queue has its name
	if !q.held.has("a") || !q.held.has("b") || q.held.has("shared") || len(q.failures()) != 3 {
		t.Fatalf("held %v of %v", q.held.queues, q.failures())
	}
	q.release(`queue "shared"`)
	var got []string
	for now := begun; ; {
		at, ok := q.next()
		if !ok || len(q.due(at)) != 0 {
			t.Fatal("held queues are due by themselves, and together")
		}
		got = append(got, at.Sub(now).String())
		if now = at; !q.held.presumed(now) {
			break
		}
		q.held.ended(false, now)
	}
	if want := "25ms 50ms 100ms 200ms 400ms 800ms 1s 1s 1s 1s 1s 1s 1s 1s 1s"; strings.Join(got, " ") != want {
		t.Errorf("waits %v; want %s", got, want)
	}
	q.held.ended(false, q.held.due)
	if q.held.wait.Bound() != lastLocked {
		t.Errorf("then %s; want %s", q.held.wait.Bound(), lastLocked)
	}
	q.held.ended(true, q.held.due)
	if q.held.wait.Bound() != firstHeld {
		t.Errorf("after progress %s; want %s", q.held.wait.Bound(), firstHeld)
	}
	q.refuse(topology.Queue{Name: "a", Exclusive: true}, closed(core.ScopeChannel, core.ErrAccessRefused, ""), begun)
	if q.held.has("a") {
		t.Error("refused for another reason, and still held")
	}
	q.reset(false)
	if q.held.has("b") || len(q.failures()) != 0 {
		t.Error("held on a new connection")
	}
}

// A binding of a queue that is held is not due before it: it could not be
// declared, and would be due at once again.
func TestABindingOfAHeldQueueIsNotDue(t *testing.T) {
	var q quarantine
	now := time.Now()
	b := topology.Binding{Source: "x", Destination: "a"}
	q.refuse(b, closed(core.ScopeChannel, core.ErrNotFound, ""), now)
	a := topology.Queue{Name: "a", Exclusive: true}
	q.refuse(a, closed(core.ScopeChannel, core.ErrResourceLocked, ""), now)
	late := q.find(entityKey(b)).due.Add(time.Second)
	q.held.ended(false, late)
	if at, ok := q.next(); !ok || !at.Equal(q.held.due) {
		t.Errorf("next due at %s, %t; want with the queue at %s", at, ok, q.held.due)
	}
	if due := q.due(late); len(due) != 0 {
		t.Errorf("due: %v", due)
	}
	q.find(entityKey(a)).spent = true
	if at, ok := q.next(); ok {
		t.Errorf("due at %s, when the queue never is again", at)
	}
	q.release(entityKey(a))
	if due := q.due(late); len(due) != 1 {
		t.Errorf("due without the queue: %v; want the binding", due)
	}
}

func TestHeldTakeTurns(t *testing.T) {
	var q quarantine
	now := time.Now()
	locked := closed(core.ScopeChannel, core.ErrResourceLocked, "")
	var steps []record.Step
	for _, name := range []string{"a", "b", "c", "other"} {
		e := topology.Queue{Name: name, Exclusive: true}
		steps = append(steps, record.Step{Entity: e, Method: e.Declare(), Name: name})
	}
	q.refuse(steps[0].Entity, locked, now)
	for _, step := range steps[1:3] {
		q.hold(step.Entity, locked, now)
	}
	for _, want := range []string{"b c a", "c a b", "a b c", "b c a"} {
		q.held.ended(false, now)
		turn := q.held.inTurn(steps)
		if got := names(turn); got != want {
			t.Errorf("turn %s; want %s", got, want)
		}
		q.refuse(turn[0].Entity, locked, now)
	}
}

// What could not be tried though it was time waits before it is time again: else it would be tried without end.
func TestWhatCannotBeTriedIsPutOff(t *testing.T) {
	locked := closed(core.ScopeChannel, core.ErrResourceLocked, "")
	missing := closed(core.ScopeChannel, core.ErrNotFound, "")
	for name, refuse := range map[string]func(q *quarantine, now time.Time){
		"held":    func(q *quarantine, now time.Time) { q.refuse(topology.Queue{Name: "q", Exclusive: true}, locked, now) },
		"another": func(q *quarantine, now time.Time) { q.refuse(topology.Queue{Name: "q"}, missing, now) },
		"both": func(q *quarantine, now time.Time) {
			q.refuse(topology.Queue{Name: "q", Exclusive: true}, locked, now)
			q.refuse(topology.Queue{Name: "other"}, missing, now)
		},
	} {
		var q quarantine
		now := time.Unix(0, 0)
		refuse(&q, now)
		tries := 0
		for end := now.Add(time.Hour); now.Before(end) && tries < 10_000; tries++ {
			at, ok := q.next()
			if !ok || at.Before(now) {
				t.Fatalf("%s: next %s, %t at %s", name, at, ok, now)
			}
			now = at
			q.putOff(now)
		}
		if tries > 3600/int(lastLocked.Seconds())+200 {
			t.Errorf("%s: put off %d times within an hour", name, tries)
		}
	}
}
