package record_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

func TestAQueueExpiresAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record.NewRecorder()
		q := expiring(1000)
		q.Name = "q"
		add(t, r, q)
		time.Sleep(time.Second - 1)
		if got := planned(r.Plan()); len(got) != 1 {
			t.Errorf("early: planned %q", got)
		}
		time.Sleep(time.Nanosecond)
		if got := planned(r.Plan()); got != nil {
			t.Errorf("at its time: planned %q", got)
		}
	})
}

func TestRenamedToTheSameNameOrNone(t *testing.T) {
	r := record.NewRecorder()
	_ = r.Queue(topology.Queue{Exclusive: true}, "amq.gen-1")
	add(t, r, b("a", "amq.gen-1"))
	r.Renamed("amq.gen-1", "amq.gen-2")
	r.Renamed("amq.gen-2", "amq.gen-3")
	for range 40 { // earlier names must not be forgotten for it
		r.Renamed("amq.gen-3", "amq.gen-3")
	}
	r.Renamed("amq.gen-3", "")
	r.Renamed("unknown", "amq.gen-4")
	if got := names(r.Snapshot()); !slices.Equal(got, []string{"q amq.gen-3", "a→amq.gen-3"}) {
		t.Errorf("recorded %q", got)
	}
	for _, name := range []string{"amq.gen-1", "amq.gen-2", "amq.gen-3"} {
		if got := r.Resolve(name); got != "amq.gen-3" {
			t.Errorf("%s resolves to %s", name, got)
		}
	}
}

// TestARenamedQueueTakesTheNameOver: what was recorded under it belonged to another one, that is
// gone, and must leave nothing behind.
func TestARenamedQueueTakesTheNameOver(t *testing.T) {
	for _, c := range []struct {
		name   string
		before []topology.Entity
	}{
		{"bindings alone", []topology.Entity{b("a", "new"), b("b", "new")}},
		{"a queue with bindings", []topology.Entity{q("new"), b("a", "new"), b("b", "new")}},
	} {
		r := record.NewRecorder()
		add(t, r, c.before...)
		add(t, r, x("a"))
		_ = r.Queue(topology.Queue{Exclusive: true}, "old")
		add(t, r, b("a", "old"))
		r.Renamed("old", "new")
		if got := names(r.Snapshot()); !slices.Equal(got, []string{"x a", "q new", "a→new"}) {
			t.Errorf("%s: recorded %q", c.name, got)
		}
		add(t, r, b("b", "new"))
		r.DeleteBinding(b("a", "new"))
		if got := names(r.Snapshot()); !slices.Equal(got, []string{"x a", "q new", "b→new"}) {
			t.Errorf("%s, bound anew: %q", c.name, got)
		}
		r.DeleteQueue("new")
		if got := names(r.Snapshot()); !slices.Equal(got, []string{"x a"}) || r.Len() != 1 {
			t.Errorf("%s, deleted: %q", c.name, got)
		}
	}
}

// TestTheLastDeclarationCounts: what is declared again is replayed, or not, as it says.
func TestTheLastDeclarationCounts(t *testing.T) {
	entities := func(noReplay bool) []topology.Entity {
		return []topology.Entity{
			topology.Exchange{Name: "a", NoReplay: noReplay}, topology.Queue{Name: "q", NoReplay: noReplay},
			x("x"), q("y"), topology.Binding{Source: "x", Destination: "y", NoReplay: noReplay},
		}
	}
	for _, last := range []bool{true, false} {
		r := record.NewRecorder()
		add(t, r, entities(!last)...)
		add(t, r, entities(last)...)
		want := []string{"x a", "x x", "q q", "q y", "x→y"}
		if last {
			want = []string{"x x", "q y"}
		}
		if got := planned(r.Plan()); !slices.Equal(got, want) {
			t.Errorf("no replay %t: planned %q, want %q", last, got, want)
		}
	}
}

// TestReplayTakesElse: where the queue that is looked for is gone, or still held for the lost connection.
func TestReplayTakesElse(t *testing.T) {
	for _, code := range []core.Code{core.ErrNotFound, core.ErrResourceLocked, core.ErrAccessRefused} {
		synctest.Test(t, func(t *testing.T) {
			conn, _ := connect(t, time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
				if declares(m, "amq.old") {
					return refusal(code, m)
				}
				return nil
			})
			r := record.NewRecorder()
			_ = r.Queue(topology.Queue{Exclusive: true}, "amq.old")
			results, err := record.Replay(t.Context(), conn, []record.Step{r.Plan()[1].Steps[0].LookFirst()})
			if err != nil || len(results) != 1 {
				t.Fatalf("%v, error %v", results, err)
			}
			taken := results[0].Err == nil && results[0].QueueName() == "amq.gen-1"
			if want := code != core.ErrAccessRefused; taken != want {
				t.Errorf("%v: declared %q, error %v", code, results[0].QueueName(), results[0].Err)
			}
		})
	}
}

// TestReplayLeavesNoChannelBehind when one of several cannot be opened.
func TestReplayLeavesNoChannelBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, f := connect(t, time.Millisecond, func(channel uint16, m wire.Method) wire.Method {
			if m.ID() == wire.MethodChannelOpen && channel == 3 {
				return refusal(core.ErrNotAllowed, m)
			}
			return nil
		})
		var all topology.Topology
		for i := range 64 { // for four channels
			all.Queues = append(all.Queues, q(fmt.Sprintf("q%d", i)))
		}
		if _, err := record.Replay(t.Context(), conn, record.Plan(all)[1].Steps); err == nil {
			t.Error("no error")
		}
		synctest.Wait()
		if f.opened() != 0 || f.channels != 4 {
			t.Errorf("%d of %d channels are left open", f.opened(), f.channels)
		}
	})
}

// TestSurveyLeavesOutWhatIsDeletedMeanwhile: an application deletes what is just found missing.
func TestSurveyLeavesOutWhatIsDeletedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record.NewRecorder()
		add(t, r, x("a"), q("kept"), q("gone"), q("also"), b("a", "kept"), b("a", "gone"), b("a", "also"))
		conn, _ := connect(t, time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
			if declares(m, "gone") {
				r.DeleteQueue("gone")
				r.Forget(topology.Topology{Queues: []topology.Queue{q("also")}})
			}
			if declares(m, "gone") || declares(m, "also") {
				return refusal(core.ErrNotFound, m)
			}
			return nil
		})
		phases, err := r.Survey(t.Context(), conn, record.LossConnection)
		if got := planned(phases); err != nil || got != nil {
			t.Errorf("planned %q, error %v", got, err)
		}
	})
}
