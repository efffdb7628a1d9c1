package brokertest

import (
	"bytes"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// errBubble: a goroutine that waits for a socket is not idle to a bubble, whose time then stands still for good.
var errBubble = errors.New("a synctest bubble cannot wait for sockets, and would hang: " +
	"have the client connect by Broker.DialContext, or leave the bubble")

// bubbled reports whether this goroutine is in a synctest bubble, which nothing tells but its stack.
func bubbled() bool {
	var stack [128]byte
	head, _, _ := bytes.Cut(stack[:runtime.Stack(stack[:], false)], []byte("\n"))
	return bytes.Contains(head, []byte("synctest bubble"))
}

// Await returns once holds does, which it calls again and again on this goroutine; what says what it waits for.
// The test fails if that does not come within a time: real time, or inside a [testing/synctest] bubble fake
// time, in which it costs nothing and holds is called whenever everyone has done what there was to do.
func Await(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	bubble := bubbled()
	pause, limit := time.Millisecond, max(time.Millisecond, within/100)
	for begun := time.Now(); ; pause = min(2*pause, limit) {
		if bubble {
			synctest.Wait()
		}
		switch {
		case holds():
			return
		case time.Since(begun) >= within:
			t.Fatalf("brokertest: %s: not within %s", what, within)
		}
		time.Sleep(min(pause, within-time.Since(begun)))
	}
}
