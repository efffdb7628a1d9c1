package chaos

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/topology"
)

// quickRetry is for tests that lose connections by the dozen.
func quickRetry() backoff.BackOff { return backoff.NewConstantBackOff(20 * time.Millisecond) }

// replayCut takes the connections of a client, and then cuts those that replace them before the n-th method in
// one direction, for every n: asked, it never reaches the broker; answered, it has had its effect.
func replayCut(t *testing.T, b *broker) {
	leaveNoQueue(t, b)
	g := visit(t, b, warren.WithRetry(quickRetry))
	ctx := within(t, 5*time.Minute)
	if _, err := g.Declare(ctx, loadTopology(topology.Quorum)); err != nil {
		t.Fatal(err)
	}
	got := &arrivals{seen: map[string]bool{}}
	for _, queue := range []string{mainQueue, ownQueue, autoQueue} {
		got.consume(ctx, t, g, queue)
	}
	pub, err := g.Publisher(publisher.Exchange(exchange))
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	// publish has a message handled from each queue; those of the transient ones may be lost, and are sent again.
	publish := func() {
		t.Helper()
		sent++
		body := fmt.Append(nil, sent)
		for key, queue := range map[string]string{"created.eu": mainQueue, "reply.eu": ownQueue, "audit.eu": autoQueue} {
			arrived := func() bool { return got.have(queue, sent) }
			for again := 0; again == 0 || queue != mainQueue && !eventually(ctx, time.Second, arrived); again++ {
				if err := pub.Publish(ctx, warren.Message{RoutingKey: key, Body: body}); err != nil && queue == mainQueue {
					t.Errorf("message %d: %v", sent, err)
				}
				if again > 30 {
					t.Fatalf("message %d does not arrive from %s: state %+v", sent, queue, g.State())
				}
			}
		}
	}
	publish()
	if err := g.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	before, err := inventory(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]faultproxy.Direction{"asked": faultproxy.ToUpstream, "answered": faultproxy.ToClient} {
		steps := 0
		for n := 1; ; n++ {
			if !replayCutAt(ctx, t, b, g, faultproxy.FrameRule{Dir: dir, Type: wire.FrameMethod, Skip: n - 1, Times: 1, Do: faultproxy.CutBefore}, publish) {
				break
			}
			steps++
		}
		if t.Logf("%s: %d steps were cut", name, steps); steps < 30 {
			t.Errorf("%s: only %d steps were cut", name, steps)
		}
	}
	var after string
	if !eventuallyEvery(ctx, commandInterval, recoverTimeout, func() bool { after, err = inventory(ctx, b); return err == nil && after == before }) {
		t.Errorf("the broker holds\n%s\n%v\nand held\n%s", after, err, before)
	}
	if !eventually(ctx, recoverTimeout, func() bool { return got.haveAll(mainQueue, sent) }) {
		t.Errorf("not each of %d messages was handled", sent)
	}
}

// replayCutAt reports whether there was a method to cut at.
func replayCutAt(ctx context.Context, t *testing.T, b *broker, g *guest, rule faultproxy.FrameRule, publish func()) bool {
	t.Helper()
	cut := b.proxy.Frames(rule)
	defer cut.Lift()
	mark := g.events.mark()
	b.proxy.Reset()
	if err := g.events.await(ctx, mark, lost); err != nil {
		t.Fatal(err)
	}
	publish()
	if err := g.AwaitReady(ctx); err != nil {
		t.Fatalf("cut at %d: %v: state %+v", rule.Skip+1, err, g.State())
	}
	return cut.Hits() > 0
}

// arrivals are the messages that came, by queue and body.
type arrivals struct {
	mu   sync.Mutex // guards the following
	seen map[string]bool
}

func (a *arrivals) consume(ctx context.Context, t *testing.T, g *guest, queue string, opts ...consumer.Option) {
	t.Helper()
	c, err := g.Consumer(queue, append(opts, consumer.Tag(queue))...)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = c.Run(context.WithoutCancel(ctx), func(_ context.Context, d *warren.Delivery) error {
			a.add(queue, string(d.Body))
			return nil
		})
	}()
}

func (a *arrivals) add(queue, body string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[queue+" "+body] = true
}

// count returns how many there are, each once.
func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

func (a *arrivals) have(queue string, n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen[fmt.Sprintf("%s %d", queue, n)]
}

func (a *arrivals) haveAll(queue string, last int) bool {
	for n := 1; n <= last; n++ {
		if !a.have(queue, n) {
			return false
		}
	}
	return true
}
