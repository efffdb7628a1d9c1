package record

import (
	"context"

	"github.com/warren-mq/warren/core"
)

// Survived looks which of the queues are still there, in a few round trips
// and without changing anything, so that it can be told which ones a replay
// creates anew and empty. It returns one answer for each name: false only if
// the broker knows no such queue; one that it does not let this connection
// look at, or whose node is down, is taken to be there. The errors are those of [Replay].
//
// Each missing queue costs a channel, as the broker closes it over that.
func Survived(ctx context.Context, conn *core.Conn, queues []string) ([]bool, error) {
	steps := make([]Step, len(queues))
	for i, name := range queues {
		steps[i] = LookForQueue(name)
	}
	missing, err := Missing(ctx, conn, steps, 0)
	if err != nil {
		return nil, err
	}
	there := make([]bool, len(queues))
	for i, s := range steps {
		there[i] = !Gone(missing[s.Method])
	}
	return there, nil
}
