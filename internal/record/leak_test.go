package record_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// TestCyclesLeaveNothingBehind is what RPC clients do: each cycle declares
// entities of a new name and gives them up, in one of the ways there are.
func TestCyclesLeaveNothingBehind(t *testing.T) {
	for _, c := range []struct {
		name  string
		cycle func(r *record.Recorder, i int)
	}{
		{"auto-delete queue consumed and cancelled", func(r *record.Recorder, i int) {
			name := fmt.Sprintf("amq.gen-%d", i)
			_ = r.Exchange(xad("x" + name))
			_ = r.Queue(topology.Queue{AutoDelete: true}, name)
			_ = r.Binding(b("x"+name, name))
			r.ConsumerAdded(name)
			r.Renamed(name, name+"-anew")
			r.ConsumerRemoved(name)
		}},
		{"queue deleted", func(r *record.Recorder, i int) {
			name := fmt.Sprintf("q%d", i)
			_ = r.Exchange(xad(name))
			_ = r.Queue(q(name), name)
			_ = r.Binding(b(name, name))
			r.DeleteQueue(name)
		}},
		{"exchange deleted", func(r *record.Recorder, i int) {
			name := fmt.Sprintf("x%d", i)
			_ = r.Exchange(x(name))
			_ = r.Binding(b(name, "somebody's"))
			_ = r.Binding(bx("amq.topic", name))
			r.DeleteExchange(name)
		}},
		{"binding removed", func(r *record.Recorder, i int) {
			name := fmt.Sprintf("x%d", i)
			_ = r.Exchange(xad(name))
			_ = r.Binding(b(name, "somebody's"))
			r.DeleteBinding(b(name, "somebody's"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := record.NewRecorder()
			c.cycle(r, 0)
			before := heap()
			for i := range 10_000 {
				c.cycle(r, i)
			}
			if r.Len() != 0 {
				t.Errorf("recorded: %d", r.Len())
			}
			// A swiss map that is emptied keeps its slots, so small growth is no leak.
			if grown := heap() - before; grown > 64<<10 {
				t.Errorf("10,000 cycles left %d bytes behind", grown)
			}
			runtime.KeepAlive(r)
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func expiring(ms int) topology.Queue {
	return topology.Queue{Arguments: topology.Table{"x-expires": ms}}
}

func TestQueuesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record.NewRecorder()
		named := func(name string, ms int) topology.Queue { q := expiring(ms); q.Name = name; return q }
		add(t, r, xad("x"), named("unused", 1000), named("consumed", 1000), named("fetched", 1000), named("long", 9000), q("kept"),
			b("x", "unused"))
		r.ConsumerAdded("consumed")
		time.Sleep(700 * time.Millisecond)
		r.Used("fetched")
		add(t, r, named("late", 1000))
		time.Sleep(500 * time.Millisecond)
		if got := fmt.Sprint(planned(r.Plan())); got != "[q consumed q fetched q long q kept q late]" {
			t.Errorf("left %s", got)
		}
		r.ConsumerRemoved("consumed")
		time.Sleep(1100 * time.Millisecond)
		if got := fmt.Sprint(planned(r.Plan())); got != "[q long q kept]" {
			t.Errorf("planned %s", got)
		}
		if got := r.Stats().Expired; got != 4 {
			t.Errorf("expired %d", got)
		}
	})
}

// TestExpiredQueuesDoNotPileUp is a client that gives each request a reply
// queue which it leaves to x-expires.
func TestExpiredQueuesDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record.NewRecorder()
		most := 0
		for i := range 20_000 {
			_ = r.Queue(expiring(100), fmt.Sprintf("amq.gen-%d", i))
			most = max(most, r.Len())
			time.Sleep(time.Millisecond)
		}
		if most > 1000 { // 100 are alive at any time
			t.Errorf("%d were recorded at once", most)
		}
	})
}
