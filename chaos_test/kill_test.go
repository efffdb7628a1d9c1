package chaos

import (
	"slices"
	"testing"

	"github.com/warren-mq/warren/internal/docker"
)

// TestStreamSurvivesKillsAndPause is the main promise: a stream of messages goes on while its broker is
// killed again and again, and frozen once.
func TestStreamSurvivesKillsAndPause(t *testing.T) {
	b := startBroker(t, docker.MainVersion)
	l := startLoad(t, b, plan{messages: 50_000, size: 256}, b.URL())
	l.run(t, slices.Concat(repeat(2, killed), []fault{pausedBeyondHeartbeat}, repeat(3, killed)))
}

// run takes a load through its phases: warm-up, faults one after the other, drain and check.
func (l *load) run(t *testing.T, faults []fault) {
	t.Helper()
	if err := l.flow(within(t, recoverTimeout), flowMessages); err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		l.suffer(t, f)
	}
	l.finish(t)
}
