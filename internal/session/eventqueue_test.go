package session

import (
	"fmt"
	"strings"
	"testing"

	"github.com/warren-mq/warren/recovery"
)

// describe names events briefly: "stage main 2" for a state of epoch 2.
func describe(events ...recovery.Event) string {
	var all []string
	for _, e := range events {
		switch e.Kind {
		case recovery.EventStageChanged:
			all = append(all, fmt.Sprintf("stage %s %d", e.Connection, e.State.Epoch))
		case recovery.EventDropped:
			all = append(all, fmt.Sprintf("dropped %d", e.Count))
		default:
			all = append(all, fmt.Sprintf("%s %s", e.Kind, e.Entity))
		}
	}
	return strings.Join(all, ", ")
}

func drain(q *eventQueue) string {
	var all []recovery.Event
	for e, ok := q.pop(); ok; e, ok = q.pop() {
		all = append(all, e)
	}
	return describe(all...)
}

func stage(connection string, epoch uint64) recovery.Event {
	return recovery.Event{Kind: recovery.EventStageChanged, Connection: connection, State: recovery.State{Epoch: epoch}}
}

func blocked(n int) recovery.Event {
	return recovery.Event{Kind: recovery.EventBlocked, Entity: fmt.Sprint(n)}
}

func TestEventQueue(t *testing.T) {
	tests := []struct {
		name  string
		limit int
		push  []recovery.Event
		want  string
	}{
		{"in order", 3, []recovery.Event{blocked(1), stage("a", 1), blocked(2)}, "blocked 1, stage a 1, blocked 2"},
		{"nothing is merged while there is room", 3, []recovery.Event{stage("a", 1), stage("a", 2)}, "stage a 1, stage a 2"},
		{"a newer state supersedes a waiting one", 2, []recovery.Event{stage("a", 1), blocked(1), stage("a", 2)}, "blocked 1, stage a 2"},
		{
			"a waiting state is superseded by one that waits behind it", 3,
			[]recovery.Event{stage("a", 1), stage("a", 2), blocked(1), blocked(2)},
			"stage a 2, blocked 1, blocked 2",
		},
		{
			"states of two connections are kept apart", 2,
			[]recovery.Event{stage("a", 1), stage("b", 1), stage("b", 2)},
			"stage a 1, stage b 2",
		},
		{"the oldest is dropped, and that is told", 2, []recovery.Event{blocked(1), blocked(2), blocked(3), blocked(4)}, "dropped 2, blocked 3, blocked 4"},
		{"the last state of a connection is no exception", 1, []recovery.Event{stage("a", 1), blocked(1)}, "dropped 1, blocked 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := eventQueue{limit: test.limit}
			for _, e := range test.push {
				q.push(e)
			}
			if got := drain(&q); got != test.want {
				t.Errorf("got %s; want %s", got, test.want)
			}
		})
	}
}

func TestEventQueueTellsOfEachLossOnce(t *testing.T) {
	q := eventQueue{limit: 1}
	q.push(blocked(1))
	q.push(blocked(2))
	if got := drain(&q); got != "dropped 1, blocked 2" {
		t.Errorf("first: %s", got)
	}
	q.push(blocked(3))
	if got := drain(&q); got != "blocked 3" {
		t.Errorf("then: %s", got)
	}
}
