package recovery

import (
	"fmt"
)

// Stage is how far a connection has come. Each includes those before it, but
// for [StageClosed], which is ready for nothing: compare with [Stage.Reached].
type Stage uint8

// The stages, in order.
const (
	// StageConnecting: no connection; one is being made or waited for.
	StageConnecting Stage = iota
	// StageConnected: a connection is open; the topology is being replayed.
	StageConnected
	// StagePublishReady: exchanges, queues and bindings are declared.
	StagePublishReady
	// StageConsumeReady: every consumer holds a consume-ok on this connection.
	StageConsumeReady
	// StageClosed: for good, by the application or because retrying was given up.
	StageClosed
)

var stageNames = [...]string{"connecting", "connected", "publish-ready", "consume-ready", "closed"}

// String returns the stage in words.
func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// Reached reports whether a connection has reached stage, and is not closed.
func (s Stage) Reached(stage Stage) bool { return s >= stage && s != StageClosed }

// State is a connection's state at one moment.
type State struct {
	Stage    Stage
	Degraded []Failure // what could not be restored; it is tried again in the background
	Cause    error     // while Connecting, why; when Closed, why
	Epoch    uint64    // how many connections were opened so far
}

// Ready reports whether everything works: [StageConsumeReady] and nothing degraded.
func (s State) Ready() bool { return s.Stage == StageConsumeReady && len(s.Degraded) == 0 }

// Err returns nil if the state is ready, else the reason in one line.
func (s State) Err() error {
	switch {
	case s.Ready():
		return nil
	case s.Cause != nil:
		return fmt.Errorf("%s: %w", s.Stage, s.Cause)
	case len(s.Degraded) > 0:
		return fmt.Errorf("degraded, %d missing, first %w", len(s.Degraded), s.Degraded[0])
	default:
		return fmt.Errorf("not ready: %s", s.Stage)
	}
}
