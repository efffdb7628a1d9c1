//go:build !race

package ledger

import (
	"runtime"
	"testing"
	"time"
)

// TestCheckAllocatesInProportion is a floor for BenchmarkCheck: a million messages are checked with a bounded number of
// bytes and allocations for each, and in a time that is in proportion to what writing them took here and now. A check
// takes less than writing; a map of messages, or a pass that is not linear, takes many times as long.
func TestCheckAllocatesInProportion(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a million messages")
	}
	const (
		messages = 1_000_000
		bytes    = 450 // a message
		times    = 5   // as long as writing
	)
	l := New(1)
	begun := time.Now()
	benchmarkLedger(l, messages)
	written := time.Since(begun)
	rules, facts := benchmarkRules()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begun = time.Now()
	r, err := l.Check(rules, facts)
	checked := time.Since(begun)
	runtime.ReadMemStats(&after)
	if err != nil || r.Verdict() != Green {
		t.Fatalf("%v\n%s", err, r)
	}
	size, count := (after.TotalAlloc-before.TotalAlloc)/messages, after.Mallocs-before.Mallocs
	t.Logf("written in %v, checked in %v: %d bytes a message, %d allocations", written, checked, size, count)
	if size > bytes || count > messages/100 {
		t.Errorf("%d bytes a message and %d allocations, want at most %d and %d", size, count, bytes, messages/100)
	}
	if checked > times*written {
		t.Errorf("checked in %v, want at most %d times the %v that writing took", checked, times, written)
	}
}
