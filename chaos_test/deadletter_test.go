package chaos

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/topology"
)

// deadLetters rejects each tenth message while connections are reset: it goes to the dead-letter queue, and no
// other does.
func deadLetters(t *testing.T, b *broker) {
	const messages, bad = 1000, 10
	g := visit(t, b, warren.WithRetry(quickRetry))
	ctx := within(t, recoverTimeout)
	if _, err := g.Declare(ctx, warren.Topology{
		Exchanges: []warren.Exchange{{Name: "refused", Type: topology.Fanout}},
		Queues: []warren.Queue{
			{Name: "judged", Type: topology.Quorum, Arguments: warren.Table{
				"x-dead-letter-exchange": "refused", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
			}},
			{Name: "dead", Type: topology.Quorum},
		},
		Bindings: []warren.Binding{{Source: "refused", Destination: "dead"}},
	}); err != nil {
		t.Fatal(err)
	}
	judged, dead := &arrivals{seen: map[string]bool{}}, &arrivals{seen: map[string]bool{}}
	dead.consume(ctx, t, g, "dead")
	judge, err := g.Consumer("judged", consumer.Prefetch(50))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = judge.Run(context.WithoutCancel(ctx), func(_ context.Context, d *warren.Delivery) error {
			n, err := strconv.Atoi(string(d.Body))
			if err != nil || n%bad == 0 {
				return errors.Join(consumer.ErrReject, err)
			}
			judged.add("judged", string(d.Body))
			return nil
		})
	}()
	pub, err := g.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= messages; n++ {
		if _, err := pub.Send(ctx, warren.Message{RoutingKey: "judged", Body: fmt.Append(nil, n)}); err != nil {
			t.Fatal(err)
		}
		if n%(messages/4) == 0 {
			if err := g.AwaitReady(ctx); err != nil {
				t.Fatal(err)
			}
			mark := g.events.mark()
			b.proxy.Reset()
			if err := g.events.await(ctx, mark, lost); err != nil {
				t.Fatal(err)
			}
		}
	}
	complete := func() bool {
		for n := 1; n <= messages; n++ {
			if n%bad == 0 && !dead.have("dead", n) || n%bad != 0 && !judged.have("judged", n) {
				return false
			}
		}
		return true
	}
	if !eventually(ctx, recoverTimeout, complete) {
		t.Errorf("of %d messages %d were accepted and %d are dead letters", messages, judged.count(), dead.count())
	}
	if n := dead.count(); n != messages/bad {
		t.Errorf("%d dead letters, want %d", n, messages/bad)
	}
}
