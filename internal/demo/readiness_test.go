package demo

import (
	"testing"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/recovery"
)

func TestReadiness(t *testing.T) {
	lost := func(c string) warren.Event { return warren.Event{Kind: recovery.Lost, Connection: c} }
	stage := func(c string, s recovery.Stage) warren.Event {
		return warren.Event{Kind: recovery.StageChanged, Connection: c, State: warren.State{Stage: s}}
	}
	var r readiness
	for i, step := range []struct {
		event warren.Event
		want  transition
	}{
		{stage("main", recovery.ConsumeReady), same}, // it was never down
		{stage("publish", recovery.ConsumeReady), same},
		{lost("publish"), wentDown},
		{lost("main"), same},
		{stage("publish", recovery.ConsumeReady), same}, // main is still away
		{stage("main", recovery.PublishReady), same},
		{stage("main", recovery.ConsumeReady), cameUp},
		{stage("main", recovery.ConsumeReady), same},
		{lost("main"), wentDown},
		{stage("main", recovery.ConsumeReady), cameUp},
	} {
		if got := r.note(step.event); got != step.want {
			t.Errorf("step %d: %d, want %d", i, got, step.want)
		}
	}
}
