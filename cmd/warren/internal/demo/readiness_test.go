package demo

import (
	"testing"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/recovery"
)

func TestReadiness(t *testing.T) {
	lost := func(c string) warren.Event { return warren.Event{Kind: recovery.EventLost, Connection: c} }
	stage := func(c string, s recovery.Stage) warren.Event {
		return warren.Event{Kind: recovery.EventStageChanged, Connection: c, State: warren.State{Stage: s}}
	}
	var r readiness
	for i, step := range []struct {
		event warren.Event
		want  transition
	}{
		{stage("main", recovery.StageConsumeReady), same}, // it was never down
		{stage("publish", recovery.StageConsumeReady), same},
		{lost("publish"), wentDown},
		{lost("main"), same},
		{stage("publish", recovery.StageConsumeReady), same}, // main is still away
		{stage("main", recovery.StagePublishReady), same},
		{stage("main", recovery.StageConsumeReady), cameUp},
		{stage("main", recovery.StageConsumeReady), same},
		{lost("main"), wentDown},
		{stage("main", recovery.StageConsumeReady), cameUp},
	} {
		if got := r.note(step.event); got != step.want {
			t.Errorf("step %d: %d, want %d", i, got, step.want)
		}
	}
}
