// Package meter measures what a stretch of work takes in the process that does it.
package meter

import (
	"bytes"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/warren-mq/warren/bench/internal/job"
)

// Meter measures from Start to Stop. Count and Running are safe for concurrent use.
type Meter struct {
	start    time.Time
	before   usage
	over     atomic.Bool
	timer    *time.Timer
	messages atomic.Int64
	limit    int64
	stopped  chan struct{}
}

// usage is what the process has used so far.
type usage struct {
	cpu           time.Duration
	allocs        uint64
	reads, writes int64
}

// Start begins to measure. Running becomes false after d, and when Count has seen limit messages unless
// that is 0.
func Start(d time.Duration, limit int64) *Meter {
	m := &Meter{limit: limit, stopped: make(chan struct{})}
	m.before = now()
	m.start = time.Now()
	m.timer = time.AfterFunc(d, m.finish)
	return m
}

func (m *Meter) finish() {
	if !m.over.Swap(true) {
		close(m.stopped)
	}
}

// Running says whether to go on.
func (m *Meter) Running() bool { return !m.over.Load() }

// Stopped is closed when Running has become false.
func (m *Meter) Stopped() <-chan struct{} { return m.stopped }

// Count adds n messages.
func (m *Meter) Count(n int) {
	if total := m.messages.Add(int64(n)); m.limit > 0 && total >= m.limit {
		m.finish()
	}
}

// Stop ends the measurement.
func (m *Meter) Stop() job.Result {
	elapsed := time.Since(m.start)
	after := now()
	m.timer.Stop()
	m.finish()
	return job.Result{
		Messages: m.messages.Load(),
		Seconds:  elapsed.Seconds(),
		CPU:      (after.cpu - m.before.cpu).Seconds(),
		Allocs:   float64(after.allocs - m.before.allocs),
		Reads:    after.reads - m.before.reads,
		Writes:   after.writes - m.before.writes,
	}
}

func now() usage {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	u := usage{cpu: CPU(), allocs: mem.Mallocs}
	stats, _ := os.ReadFile("/proc/self/io") // absent elsewhere than on Linux: 0 then
	u.reads, u.writes = calls(stats, "syscr: "), calls(stats, "syscw: ")
	return u
}

// CPU returns the processor time that the process has used so far.
func CPU() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // cannot fail with these arguments
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// calls finds one counter in the lines of /proc/self/io.
func calls(stats []byte, name string) int64 {
	for line := range bytes.Lines(stats) {
		if value, ok := bytes.CutPrefix(line, []byte(name)); ok {
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			return n
		}
	}
	return 0
}

// Percentile returns the value below which the share p (0 … 1) of d lies, 0 for none. It sorts d.
func Percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(p*float64(len(d))), len(d)-1)]
}
