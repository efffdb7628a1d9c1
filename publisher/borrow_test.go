package publisher_test

import (
	"sync"
	"testing"
	"time"

	"github.com/warren-mq/warren/publisher"
)

// The body is the sender's again when the message has its outcome. Run it with
// the race detector: whoever reads the body later is found.
func TestBodyIsNotReadAfterTheOutcome(t *testing.T) {
	for _, opts := range [][]publisher.Option{nil, {publisher.AtMostOnce()}} {
		inBubble(t, func(e *env) {
			e.queue("q", nil)
			p := e.publisher(opts...)
			defer e.closeOf(p)
			var senders sync.WaitGroup
			for i := range 4 {
				senders.Go(func() {
					body := make([]byte, 1000+i*150_000) // the larger ones are written in parts
					for n := range 15 {
						ctx, cancel := timeout(e.ctx, time.Duration(n)*20*time.Millisecond)
						_ = p.Publish(ctx, publisher.Message{RoutingKey: "q", Body: body}) // whatever it is, it is an outcome
						cancel()
						for j := range body {
							body[j]++
						}
					}
				})
			}
			for range 10 {
				time.Sleep(40 * time.Millisecond)
				e.broker.Cut()
			}
			senders.Wait()
		})
	}
}
