package recovery

import (
	"testing"
)

// A stage includes those before it, but what is closed is not ready.
func TestStagesThatAreReached(t *testing.T) {
	for stage := range StageClosed {
		if !stage.Reached(stage) || stage.Reached(stage+1) || StageClosed.Reached(stage) {
			t.Errorf("%v: %v, the next one %v, closed %v", stage, stage.Reached(stage), stage.Reached(stage+1), StageClosed.Reached(stage))
		}
	}
}
