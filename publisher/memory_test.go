package publisher_test

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/publisher"
)

// A broker that takes messages and does not confirm them holds up senders that
// lose patience. What it still owes a verdict on is remembered, not its body.
func TestMessagesGivenUpInFlightLetGoOfTheirBodies(t *testing.T) {
	const messages, size = 300, 1 << 20
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher(publisher.Window(20, 64<<20))
		defer e.closeOf(p)
		e.wantConfirmed(e.sendTo(p, "q"))
		held := e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Swallow)) // nor does it keep them
		before := heap()
		var senders sync.WaitGroup
		for i := range 20 {
			senders.Go(func() {
				for range messages / 20 {
					ctx, cancel := timeout(e.ctx, 5*time.Second)
					m := publisher.Message{RoutingKey: "q", Body: make([]byte, size), Properties: core.Properties{Headers: core.Table{"h": make([]byte, size/20)}}}
					if err := publishOrSend(ctx, p, m, i%2 == 0); outcomeOf(err) != core.OutcomeUnknown {
						t.Errorf("%v", err)
					}
					cancel()
				}
			})
		}
		senders.Wait()
		synctest.Wait()
		if s := p.Stats(); held.Hits() != messages || s.Unknown != messages || s.Open != 0 {
			t.Errorf("%d messages reached the broker, %+v", held.Hits(), s)
		}
		if grown := heap() - before; grown > 64<<20 {
			t.Errorf("the heap has grown by %d MiB", grown>>20)
		}
	})
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what a pool let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
