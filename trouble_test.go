package warren_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/topology"
)

// TestTheQueueIsDeletedUnderPublisherAndConsumer: what the queue took is handled or was in it, what found no
// queue is returned, and the queue comes back with its binding and its consumer.
func TestTheQueueIsDeletedUnderPublisherAndConsumer(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{
			Exchanges: []warren.Exchange{{Name: "x", Kind: topology.Topic}},
			Queues:    []warren.Queue{{Name: "q", Type: topology.Quorum}},
			Bindings:  []warren.Binding{{Source: "x", Destination: "q", Key: "k.#"}},
		})
		got := e.consumeAll(client, "q")
		pub, err := client.Publisher(publisher.Exchange("x"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := e.inventory()
		outcomes := map[core.Outcome]int{}
		handled := map[string]bool{}
		var returned []string
		for n := range 300 {
			body := fmt.Sprint(n)
			if n%100 == 50 {
				e.broker.DeleteQueue("q")
			}
			receipt, err := pub.Send(e.ctx, warren.Message{Key: "k.a", Body: []byte(body)})
			if err != nil {
				t.Fatal(err)
			}
			out, err := receipt.Wait(e.ctx)
			if outcomes[out]++; out == core.Returned {
				returned = append(returned, body)
			} else if out != core.Confirmed {
				t.Errorf("message %d: %v, %v", n, out, err)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		for _, body := range got.list("q") {
			handled[body] = true
		}
		for _, body := range returned {
			if handled[body] {
				t.Errorf("message %s was returned and handled", body)
			}
		}
		if n := len(handled); outcomes[core.Confirmed] < 200 || n != outcomes[core.Confirmed] { // nothing waits in the queue when it is deleted
			t.Errorf("outcomes %v, %d handled", outcomes, n)
		}
		if after := e.inventory(); after != before {
			t.Errorf("the broker holds\n%s\nand held\n%s", after, before)
		}
		e.close(client)
	})
}

// TestPermissionsAreRevokedAndRestored: refusals are typed and shown, they do not pile up, and all is well again
// when the permissions are.
func TestPermissionsAreRevokedAndRestored(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, richTopology)
		got := e.consumeAll(client, "quorum", "own", "auto")
		pub, err := client.Publisher(publisher.Exchange("x"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := e.inventory()
		e.broker.SetPermissions("guest", "/", "^$", "^$", "^$")
		e.broker.CloseConnections(320, "CONNECTION_FORCED - permissions changed")
		if err := pub.Publish(e.ctx, warren.Message{Key: "all.0"}); !errors.Is(err, core.ErrAccessRefused) {
			t.Errorf("publish without permission = %v", err)
		}
		dialled := e.dialled()
		time.Sleep(10 * time.Minute)
		if s := client.State(); len(s.Degraded) == 0 || s.Ready() {
			t.Errorf("state %+v", s)
		}
		if n := e.dialled() - dialled; n > 10 {
			t.Errorf("%d connections in ten minutes", n)
		}
		e.broker.SetPermissions("guest", "/", ".*", ".*", ".*")
		if err := client.AwaitReady(e.ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if after := e.inventory(); after != before {
			t.Errorf("the broker holds\n%s\nand held\n%s", after, before)
		}
		if err := pub.Publish(e.ctx, warren.Message{Key: "all.1", Body: []byte("1")}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if have := got.of("quorum"); have != "1" {
			t.Errorf("handled %q", have)
		}
		e.close(client)
	})
}
