package consumer_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
)

// A handler that releases its delivery, by mistake, has its own message acked and nobody else's: it is settled after
// the handler has returned. Run it with the race detector too.
func TestHandlerThatReleasesSettlesItsOwnMessage(t *testing.T) {
	inBubble(t, func(e *env) {
		const messages = 200
		e.queue("q", nil)
		var mu sync.Mutex // guards the following
		seen := map[string]int{}
		r := e.run("q", func(_ context.Context, d *core.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			seen[string(d.Body)]++
			defer d.Release()
			return nil
		}, consumer.Workers(4), consumer.Prefetch(20))
		e.publish("q", 1, messages)
		synctest.Wait()
		e.wantQueue("q", 0, 0, 1)
		if len(seen) != messages || r.Stats().Acked != messages {
			t.Errorf("%d messages were handled, %d acked", len(seen), r.Stats().Acked)
		}
	})
}
