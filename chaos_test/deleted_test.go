package chaos

import (
	"context"
	"testing"

	"github.com/warren-mq/warren/core"
)

// unexcused is how many messages flow before a deletion: more than its loss window excuses, so that some must not be lost.
const unexcused = 3000

// mainQueueDeleted deletes the queue under publisher and consumer while messages flow. What was in it is gone;
// what finds no queue is returned, and said to be; and the queue comes back with its bindings and its consumer.
func mainQueueDeleted(t *testing.T, b *broker) {
	leaveNoQueue(t, b)
	l := startLoad(t, b, plan{messages: 1000, rate: 1000, deleted: true}, b.URL())
	var end func()
	l.run(t, repeat(3, fault{
		name: "queue deleted under publisher and consumer",
		strike: func(ctx context.Context, l *load) error {
			if err := l.progress(ctx, unexcused); err != nil {
				return err
			}
			end = l.ledger.MayLose(mainQueue)
			l.deletions++
			_, err := l.node.Ctl(ctx, "delete_queue", mainQueue)
			return err
		},
		shows: consumerLost(mainQueue, core.ErrCancelled),
		heal: func(ctx context.Context, l *load) error {
			defer end()
			return l.flow(ctx, flowMessages)
		},
	}))
}
