package record_test

import (
	"slices"
	"testing"

	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

func TestUpstream(t *testing.T) {
	r := record.NewRecorder()
	add(t, r, x("a"), x("b"), x("c"), x("unrelated"), q("q"), q("other"),
		bx("a", "b"), bx("b", "a"), bx("theirs", "b"), bx("b", "c"), b("b", "q"), b("c", "other"), b("amq.topic", "q"))
	_ = r.Queue(topology.Queue{Exclusive: true}, "amq.gen-1")
	r.Renamed("amq.gen-1", "amq.gen-2")
	add(t, r, b("c", "amq.gen-2"))
	for queue, want := range map[string][]string{
		"q":         {"x a", "x b", "q q", "a⇒b", "b⇒a", "theirs⇒b", "b→q", "amq.topic→q"},
		"amq.gen-1": {"x a", "x b", "x c", "q amq.gen-2", "a⇒b", "b⇒a", "theirs⇒b", "b⇒c", "c→amq.gen-2"},
		"unknown":   nil,
		"a":         nil,
	} {
		if got := planned(r.Upstream(topology.Topology{Queues: []topology.Queue{{Name: queue}}})); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", queue, got, want)
		}
	}
	for exchange, want := range map[string][]string{
		"c":       {"x a", "x b", "x c", "a⇒b", "b⇒a", "theirs⇒b", "b⇒c"},
		"theirs":  nil,
		"q":       nil, // a queue is not an exchange of its name
		"unknown": nil,
	} {
		if got := planned(r.Upstream(topology.Topology{Exchanges: []topology.Exchange{{Name: exchange}}})); !slices.Equal(got, want) {
			t.Errorf("exchange %s: %q, want %q", exchange, got, want)
		}
	}
}
