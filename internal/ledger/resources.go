package ledger

import (
	"os"
	"runtime"
	"time"
)

// Resources are what a process and its broker hold: the zero value is not looked at.
type Resources struct {
	Goroutines, Files, Connections int
	Heap                           int // bytes in use; it may grow by [Rules.Growth]
}

// Stock returns what the process holds now that garbage is collected. Where the system
// does not tell about open files, that is 0; connections are the caller's to count.
func Stock() Resources {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, _ := os.ReadDir("/proc/self/fd")
	return Resources{Goroutines: runtime.NumGoroutine(), Files: len(files), Heap: int(m.HeapAlloc)}
}

// StockBack is [Stock] once goroutines and files are back where they were, or after
// patience: what was told to end takes a moment.
func StockBack(before Resources, patience time.Duration) Resources {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		now := Stock()
		if now.Goroutines <= before.Goroutines && now.Files <= before.Files {
			return now
		}
		select {
		case <-tick.C:
		case <-late:
			return now
		}
	}
}
