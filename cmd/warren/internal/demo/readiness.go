package demo

import (
	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/recovery"
)

// readiness follows the client's connections through their events.
type readiness struct {
	stages map[string]recovery.Stage // by connection
	down   bool
}

// transition is what an event means for the client as a whole.
type transition uint8

const (
	same transition = iota
	wentDown
	cameUp
)

// note takes an event: the client is down as soon as one of its connections is
// lost, and up again when all have everything back.
func (r *readiness) note(e warren.Event) transition {
	if r.stages == nil {
		r.stages = map[string]recovery.Stage{}
	}
	switch e.Kind {
	case recovery.EventLost:
		r.stages[e.Connection] = recovery.StageConnecting
		if r.down {
			return same
		}
		r.down = true
		return wentDown
	case recovery.EventStageChanged:
		r.stages[e.Connection] = e.State.Stage
	}
	if !r.down {
		return same
	}
	for _, stage := range r.stages {
		if !stage.Reached(recovery.StageConsumeReady) {
			return same
		}
	}
	r.down = false
	return cameUp
}
