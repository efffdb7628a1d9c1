package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/recovery"
)

// events is everything that a client said happened to it.
type events struct {
	mu      sync.Mutex // guards the following
	all     []warren.Event
	changed gate.Gate
}

func (e *events) add(event warren.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
	e.changed.Wake()
}

// mark returns where the events that are to come begin.
func (e *events) mark() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.all)
}

// since returns the events from a mark on.
func (e *events) since(mark int) []warren.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.all[mark:])
}

// await waits until one of the events from a mark on is wanted.
func (e *events) await(ctx context.Context, mark int, w wanted) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for !slices.ContainsFunc(e.all[mark:], w.is) {
		changed := e.changed.Wait()
		e.mu.Unlock()
		err := gate.Await(ctx, changed)
		e.mu.Lock()
		if err != nil {
			return fmt.Errorf("no event %s among:\n%s", w.what, describe(e.all[mark:]))
		}
	}
	return nil
}

// count returns how many events from a mark on are wanted.
func (e *events) count(mark int, w wanted) int {
	n := 0
	for _, event := range e.since(mark) {
		if w.is(event) {
			n++
		}
	}
	return n
}

// describe shows events, one a line, without changes of stage.
func describe(list []warren.Event) string {
	var out strings.Builder
	for _, e := range list {
		if e.Kind != recovery.EventStageChanged {
			fmt.Fprintf(&out, "  %s %s: %s %s %v\n", e.Time.Format("15:04:05.000"), e.Connection, e.Kind, e.Entity, e.Err)
		}
	}
	return out.String()
}

// wanted is an event to wait for, or to count.
type wanted struct {
	what string
	is   func(warren.Event) bool
}

// kind wants any event of that kind.
func kind(k recovery.EventKind) wanted {
	return wanted{k.String(), func(e warren.Event) bool { return e.Kind == k }}
}

// lost wants the loss of a connection, whatever the cause.
var lost = kind(recovery.EventLost)

// lostBy wants the loss of a connection by that cause.
func lostBy(cause error) wanted {
	return wanted{fmt.Sprintf("lost by %q", cause), func(e warren.Event) bool { return e.Kind == recovery.EventLost && errors.Is(e.Err, cause) }}
}

// forced wants the loss of a connection that the broker closed with code 320 and that text in its reason.
func forced(text string) wanted {
	return wanted{fmt.Sprintf("lost by 320 and %q", text), func(e warren.Event) bool {
		return e.Kind == recovery.EventLost && errors.Is(e.Err, core.ErrConnectionForced) && strings.Contains(e.Err.Error(), text)
	}}
}
