package warren_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// TestTheQueueIsDeletedUnderPublisherAndConsumer: what the queue took is handled or was in it, what found no
// queue is returned, and the queue comes back with its binding and its consumer.
func TestTheQueueIsDeletedUnderPublisherAndConsumer(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{
			Exchanges: []warren.Exchange{{Name: "x", Type: topology.Topic}},
			Queues:    []warren.Queue{{Name: "q", Type: topology.Quorum}},
			Bindings:  []warren.Binding{{Source: "x", Destination: "q", RoutingKey: "k.#"}},
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
			receipt, err := pub.Send(e.ctx, warren.Message{RoutingKey: "k.a", Body: []byte(body)})
			if err != nil {
				t.Fatal(err)
			}
			out, err := receipt.Wait(e.ctx)
			if outcomes[out]++; out == core.OutcomeReturned {
				returned = append(returned, body)
			} else if out != core.OutcomeConfirmed {
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
		if n := len(handled); outcomes[core.OutcomeConfirmed] < 200 || n != outcomes[core.OutcomeConfirmed] { // nothing waits in the queue when it is deleted
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
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "all.0"}); !errors.Is(err, core.ErrAccessRefused) {
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
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "all.1", Body: []byte("1")}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if have := got.of("quorum"); have != "1" {
			t.Errorf("handled %q", have)
		}
		e.close(client)
	})
}

// TestPermissionsAreRevokedOnALiveConnection: RabbitMQ closes no connection over it. A publish finds out when the
// broker looks again (RabbitMQ remembers for a while what a channel may do), at the cost of its channel; consumers go
// on until the credentials are renewed.
func TestPermissionsAreRevokedOnALiveConnection(t *testing.T) {
	const messages = 300
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, richTopology)
		got := e.consumeAll(client, "quorum", "own", "auto")
		pub, err := client.Publisher(publisher.Exchange("x"))
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "all.0", Body: []byte("before")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before, dialled := e.inventory(), e.dialled()
		opened := e.broker.OnReceive(wire.MethodChannelOpen, brokertest.Always(brokertest.Pass))
		e.broker.SetPermissions("guest", "/", "^$", "^$", "^$")
		begun := time.Now()
		for range messages {
			err := pub.Publish(e.ctx, warren.Message{RoutingKey: "all.1"})
			outcome, ok := errs.AsType[*core.OutcomeError](err)
			if !ok || outcome.Verdict.Outcome != core.OutcomeNacked || !errors.Is(err, core.ErrAccessRefused) {
				t.Fatalf("publish without permission = %v", err)
			}
		}
		if n, limit := opened.Hits(), 20+int(time.Since(begun)/time.Second); n > limit {
			t.Errorf("%d channels opened in %s; want one a second", n, time.Since(begun))
		}
		if s := client.State(); !s.Ready() {
			t.Errorf("state %+v: nothing is lost", s)
		}
		// The queue's messages are delivered and acknowledged as before: permissions are looked at when a consumer starts.
		if _, err := e.broker.Publish("x", "all.2", wire.Properties{}, []byte("meanwhile")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		e.broker.SetPermissions("guest", "/", ".*", ".*", ".*")
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "all.3", Body: []byte("after")}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if have := strings.Join(got.list("quorum"), " "); have != "before meanwhile after" {
			t.Errorf("handled %q", have)
		}
		if after := e.inventory(); after != before || e.dialled() != dialled {
			t.Errorf("%d connections more; the broker holds\n%s\nand held\n%s", e.dialled()-dialled, after, before)
		}
		e.close(client)
	})
}

// TestCredentialsAreRenewedOnOpenConnections: one source of credentials serves both connections, from their first
// attempt on, and tokens are replaced before they expire.
func TestCredentialsAreRenewedOnOpenConnections(t *testing.T) {
	inBubble(t, func(e *env) {
		const life = 10 * time.Minute
		var asked, renewed, failed atomic.Int64
		client := e.dial(warren.WithCredentials(func(_ context.Context, renew bool) (warren.Credentials, error) {
			asked.Add(1)
			return warren.Credentials{Username: "guest", Password: "guest", Expires: time.Now().Add(life)}, nil
		}), warren.WithListener(func(ev warren.Event) {
			switch ev.Kind {
			case recovery.EventSecretRenewed:
				renewed.Add(1)
			case recovery.EventSecretNotRenewed:
				failed.Add(1)
			}
		}))
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
			t.Fatal(err)
		}
		dialled := int64(e.dialled())
		if n := asked.Load(); dialled != 2 || n != dialled {
			t.Errorf("asked %d times for %d connections", n, dialled)
		}
		time.Sleep(life - time.Second)
		synctest.Wait()
		if n := renewed.Load(); n != dialled || failed.Load() != 0 || int64(e.dialled()) != dialled {
			t.Errorf("%d renewed, %d not, %d connections", n, failed.Load(), e.dialled())
		}
		e.close(client)
	})
}

// TestRenewedCredentialsFindPermissionsRevoked: when a secret is updated RabbitMQ cancels the consumers that may no
// longer read. They come back with the permission, where they were.
func TestRenewedCredentialsFindPermissionsRevoked(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial(warren.WithCredentials(func(context.Context, bool) (warren.Credentials, error) {
			return warren.Credentials{Username: "guest", Password: "guest", Expires: time.Now().Add(5 * time.Minute)}, nil
		}))
		e.declare(client, richTopology)
		got := e.consumeAll(client, "quorum", "classic", "stream", "own")
		if err := client.AwaitReady(e.ctx); err != nil {
			t.Fatal(err)
		}
		publish := func(body string) {
			if _, err := e.broker.Publish("x", "all.0", wire.Properties{}, []byte(body)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		publish("before")
		before, dialled := e.inventory(), e.dialled()
		renewed := e.broker.OnReceive(wire.MethodConnectionUpdateSecret, brokertest.Always(brokertest.Pass))
		e.broker.SetPermissions("guest", "/", "^$", "^$", "^classic$")
		asked := e.broker.OnReceive(wire.MethodBasicConsume, brokertest.Always(brokertest.Pass))
		time.Sleep(10 * time.Minute)
		if renewed.Hits() == 0 {
			t.Fatal("the credentials were not renewed")
		}
		if n := len(e.broker.Consumers()); n != 1 {
			t.Errorf("%d consumers; want the one that may read", n)
		}
		s := client.State()
		for _, f := range s.Degraded {
			if !errors.Is(f, core.ErrAccessRefused) {
				t.Errorf("degraded by %v", f)
			}
		}
		if len(s.Degraded) != 3 {
			t.Errorf("state %+v; want three consumers that are refused", s)
		}
		if n := asked.Hits(); n < 3*5 || n > 3*120 {
			t.Errorf("%d attempts to consume in ten minutes", n)
		}
		publish("meanwhile")
		if have := strings.Join(got.list("classic"), " "); have != "before meanwhile" {
			t.Errorf("handled %q of the queue that may be read", have)
		}
		e.broker.SetPermissions("guest", "/", ".*", ".*", ".*")
		if err := client.AwaitReady(e.ctx); err != nil {
			t.Fatal(err)
		}
		publish("after")
		for _, queue := range []string{"classic", "quorum", "stream"} {
			if have := strings.Join(got.list(queue), " "); have != "before meanwhile after" {
				t.Errorf("handled %q of queue %s", have, queue)
			}
		}
		if after := e.inventory(); after != before || e.dialled() != dialled {
			t.Errorf("%d connections more; the broker holds\n%s\nand held\n%s", e.dialled()-dialled, after, before)
		}
		e.close(client)
	})
}
