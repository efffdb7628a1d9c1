package warren_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core/wire"
)

// TestASlowBrokerIsNotAskedForEverMore: a server-named queue whose declaration is answered too late, or not at all,
// is left behind. So it is declared again ever more slowly, and by the connection alone, not by its consumer too.
func TestASlowBrokerIsNotAskedForEverMore(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		d := e.declare(client, warren.Topology{
			Queues:   []warren.Queue{{Exclusive: true, Transient: true}},
			Bindings: []warren.Binding{{Source: "amq.topic", RoutingKey: "k"}},
		})
		e.consumeAll(client, d.Queues[0])
		synctest.Wait()
		asked := 0
		slow := e.broker.OnSend(wire.MethodQueueDeclareOk, func(ev brokertest.Event) brokertest.Action {
			asked++
			return brokertest.Swallow
		})
		e.broker.Cut()
		time.Sleep(5 * time.Minute)
		slow.Remove()
		if err := client.AwaitReady(e.ctx); err != nil {
			t.Fatal(err)
		}
		if asked < 2 || asked > 12 {
			t.Errorf("declared %d times in five minutes", asked)
		}
		e.close(client)
	})
}
