package record_test

import (
	"fmt"
	"testing"

	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// sizes are numbers of entities; a third each are exchanges, queues and bindings.
var sizes = []int{100, 1_000, 10_000, 50_000}

func filled(n int) *record.Recorder {
	r := record.NewRecorder()
	for i := range n / 3 {
		exchange, queue := fmt.Sprintf("orders.exchange.%d", i), fmt.Sprintf("orders.queue.%d", i)
		_ = r.Exchange(topology.Exchange{Name: exchange, Type: topology.Topic})
		_ = r.Queue(topology.Queue{Name: queue, Type: topology.Quorum}, queue)
		_ = r.Binding(topology.Binding{Source: exchange, Destination: queue, RoutingKey: "orders.#"})
	}
	return r
}

// perEntity reports the time of one entity, which stays the same when the
// cost is linear.
func perEntity(b *testing.B, entities int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*entities), "ns/entity")
}

func bySize(b *testing.B, f func(b *testing.B, n int)) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) { f(b, n); perEntity(b, n) })
	}
}

// BenchmarkRecord includes, as bytes/entity, the memory that a recorded
// entity keeps, its names of some 20 bytes among it.
func BenchmarkRecord(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		var kept int64
		for b.Loop() {
			b.StopTimer()
			before := heap()
			b.StartTimer()
			r := filled(n)
			b.StopTimer()
			kept = heap() - before
			if r.Len() != n/3*3 {
				b.Fatal(r.Len())
			}
			b.StartTimer()
		}
		b.ReportMetric(float64(kept)/float64(n/3*3), "bytes/entity")
	})
}

func BenchmarkPlan(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		r := filled(n)
		for b.Loop() {
			r.Plan()
		}
	})
}

// BenchmarkDelete deletes every entity, all bindings having one source.
func BenchmarkDelete(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		for b.Loop() {
			b.StopTimer()
			r := fan(n)
			b.StartTimer()
			for i := range n / 2 {
				r.DeleteQueue(fmt.Sprintf("amq.gen-%d", i))
			}
			if r.Len() != 1 {
				b.Fatal(r.Len())
			}
		}
	})
}

// BenchmarkRename renames every queue, as after the loss of a connection.
func BenchmarkRename(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		for b.Loop() {
			b.StopTimer()
			r := fan(n)
			b.StartTimer()
			for i := range n / 2 {
				r.Renamed(fmt.Sprintf("amq.gen-%d", i), fmt.Sprintf("amq.gen-%d", i+n))
			}
		}
	})
}

// fan records one exchange, and queues bound to it, with their bindings n in all.
func fan(n int) *record.Recorder {
	r := record.NewRecorder()
	_ = r.Exchange(topology.Exchange{Name: "all"})
	for i := range n / 2 {
		name := fmt.Sprintf("amq.gen-%d", i)
		_ = r.Queue(topology.Queue{Exclusive: true}, name)
		_ = r.Binding(topology.Binding{Source: "all", Destination: name})
	}
	return r
}
