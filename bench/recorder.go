package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// recorderTable shows what remembering topology takes: memory per entity, and the time to record one and to
// make the plan of a replay, for ever more entities.
func recorderTable() (string, error) {
	var b strings.Builder
	b.WriteString("### Recorder\n\n| entities | bytes each | recording, µs each | plan, µs each |\n|---|---|---|---|\n")
	for _, n := range []int{100, 1_000, 10_000, 50_000} {
		row, err := measureRecorder(n)
		if err != nil {
			return "", err
		}
		b.WriteString(row)
	}
	return b.String(), nil
}

// measureRecorder records n entities, half of them queues and half bindings.
func measureRecorder(n int) (row string, err error) {
	r := record.NewRecorder()
	before := heap()
	start := time.Now()
	for i := range n / 2 {
		name := fmt.Sprintf("bench.recorder.%d", i)
		if err := r.Queue(topology.Queue{Name: name}, name); err != nil {
			return "", err
		}
		if err := r.Binding(topology.Binding{Source: "amq.topic", Destination: name, RoutingKey: name}); err != nil {
			return "", err
		}
	}
	recorded := time.Since(start)
	used := heap() - before
	start = time.Now()
	plan := r.Plan()
	planned := time.Since(start)
	runtime.KeepAlive(plan)
	runtime.KeepAlive(r)
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }
	return fmt.Sprintf("| %d | %d | %.2f | %.2f |\n", n, used/int64(n), each(recorded), each(planned)), nil
}

// heap returns the bytes of live memory.
func heap() int64 {
	runtime.GC()
	runtime.GC() // also what the first one has only marked
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
