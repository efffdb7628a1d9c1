package chaos

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// guest is a client of a test of its own, with what happened to it.
type guest struct {
	*warren.Client
	events events
}

// visit returns a client of b that is closed when the test ends, with a transcript if it fails. Options may name another
// way to it.
func visit(t *testing.T, b *broker, options ...warren.Option) *guest {
	t.Helper()
	newLedger(t, b)
	return call(t, b, options...)
}

// call is visit without a transcript: the test has one.
func call(t *testing.T, b *broker, options ...warren.Option) *guest {
	t.Helper()
	g := &guest{}
	options = append([]warren.Option{warren.WithResolver(recovery.Endpoints(core.Config{Addr: b.Addr()})),
		warren.WithRetry(shortRetry), warren.WithListener(g.events.add)}, options...)
	client, err := warren.Dial(within(t, dialTimeout), "", options...)
	if err != nil {
		t.Fatal(err)
	}
	g.Client = client
	t.Cleanup(func() {
		closeClient(t, client)
		requireNoGoroutines(t)
		if t.Failed() {
			t.Logf("the client said:\n%s", describe(g.events.since(0)))
		}
	})
	return g
}

// mustCtl runs rabbitmqctl.
func mustCtl(t *testing.T, b *broker, args ...string) {
	t.Helper()
	if _, err := b.Ctl(within(t, time.Minute), args...); err != nil {
		t.Fatal(err)
	}
}

// leaveNoQueue has the main queue deleted when the test, its clients closed, has ended: the next one may want it
// to be of another type.
func leaveNoQueue(t *testing.T, b *broker) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := b.Ctl(ctx, "delete_queue", mainQueue); err != nil {
			t.Error(err)
		}
	})
}

// TestOneBrokerManyTroubles shares a broker between tests that leave it as they found it.
func TestOneBrokerManyTroubles(t *testing.T) {
	list := []string{docker.MainVersion}
	if long() {
		list = versions()
	}
	for _, version := range list {
		t.Run(version, func(t *testing.T) {
			b := startBroker(t, version)
			for _, test := range []struct {
				name string
				test func(*testing.T, *broker)
			}{
				{"an alarm that was there first", alarmBeforeConnecting},
				{"a handler that takes too long", func(t *testing.T, b *broker) { consumerTimeout(t, b, version) }},
				{"permissions revoked and restored", permissionsRevoked},
				{"an exclusive queue held by a dead connection", exclusiveRace},
				{"dead letters", deadLetters},
			} {
				t.Run(test.name, func(t *testing.T) { test.test(t, b) })
			}
		})
	}
}

// TestOneBrokerManyMoreTroubles does so too, with what takes longer.
func TestOneBrokerManyMoreTroubles(t *testing.T) {
	if !long() {
		t.Skip("what takes longer runs with make chaos")
	}
	for _, version := range versions() {
		t.Run(version, func(t *testing.T) {
			b := startBroker(t, version)
			for _, test := range []struct {
				name string
				test func(*testing.T, *broker)
			}{
				{"recovery cut at every step", replayCut},
				{"queue deleted under publisher and consumer", mainQueueDeleted},
				{"stream", streamUnderLoad},
			} {
				t.Run(test.name, func(t *testing.T) { test.test(t, b) })
			}
		})
	}
}

// alarmBeforeConnecting connects while the broker takes no publishes: it says so only after the first one.
func alarmBeforeConnecting(t *testing.T, b *broker) {
	mustCtl(t, b, "set_vm_memory_high_watermark", "absolute", "1MB")
	g := visit(t, b)
	ctx := within(t, 2*time.Minute)
	if _, err := g.Declare(ctx, warren.Topology{Queues: []warren.Queue{{Name: "alarmed"}}}); err != nil {
		t.Fatalf("declaring during an alarm: %v", err)
	}
	pub, err := g.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	first, err := pub.Send(ctx, warren.Message{RoutingKey: "alarmed"})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.events.await(ctx, 0, kind(recovery.EventBlocked)); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := pub.Publish(short, warren.Message{RoutingKey: "alarmed"}); !errors.Is(err, core.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a publish while blocked = %v, want not sent, at the end of its context", err)
	}
	mustCtl(t, b, "set_vm_memory_high_watermark", "0.6")
	if out, err := first.Wait(ctx); out != core.OutcomeConfirmed {
		t.Errorf("the publish that was blocked = %v, %v", out, err)
	}
}

// TestConsumerTimeoutClosesTheChannel with RabbitMQ before 4.3.
func TestConsumerTimeoutClosesTheChannel(t *testing.T) {
	if !long() {
		t.Skip("the consumer timeout of older versions runs with make chaos")
	}
	consumerTimeout(t, startBroker(t, "4.0"), "4.0")
}

// consumerTimeout lets a handler take longer than its queue allows. RabbitMQ 4.3 takes the message back by
// basic.cancel and keeps the consumer until it is answered; before, it closes the channel with 406. 3.10 knows of no
// limit of a queue, only of one for all.
func consumerTimeout(t *testing.T, b *broker, version string) {
	var by error = core.ErrPreconditionFailed
	switch version {
	case docker.MainVersion:
		by = core.ErrCancelled
	case "3.10":
		mustCtl(t, b, "eval", "application:set_env(rabbit, consumer_timeout, 2000).")
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if _, err := b.Ctl(ctx, "eval", "application:set_env(rabbit, consumer_timeout, 1800000)."); err != nil {
				t.Error(err)
			}
		})
		fallthrough
	default:
		mustCtl(t, b, "eval", "application:set_env(rabbit, channel_tick_interval, 1000).") // it looks once a minute
	}
	g := visit(t, b)
	ctx := within(t, 3*time.Minute)
	_, err := g.Declare(ctx, warren.Topology{Queues: []warren.Queue{
		{Name: "patient", Type: topology.Quorum, Arguments: warren.Table{"x-consumer-timeout": int64(2000)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	causes, handled := make(chan error, 1), make(chan bool, 1)
	go func() {
		_ = g.Consume(ctx, "patient", func(ctx context.Context, d *warren.Delivery) error {
			if !d.Redelivered {
				<-ctx.Done()
				causes <- context.Cause(ctx)
				return nil
			}
			handled <- true
			return nil
		}, consumer.Tag("patient"))
	}()
	pub, err := g.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	if err := pub.Publish(ctx, warren.Message{RoutingKey: "patient"}); err != nil {
		t.Fatal(err)
	}
	select {
	case cause := <-causes:
		if !errors.Is(cause, core.ErrStale) || !errors.Is(cause, by) {
			t.Errorf("the handler's context ended by %v, want %v and %v", cause, core.ErrStale, by)
		}
	case <-ctx.Done():
		t.Fatal("the handler's context did not end")
	}
	select {
	case <-handled:
	case <-ctx.Done():
		t.Fatal("the message did not come again")
	}
	var out string
	one := func() bool {
		out, err = b.Ctl(ctx, "list_consumers", "--no-table-headers", "queue_name", "consumer_tag", "active")
		return err == nil && strings.Count(out, "patient") == 2 // queue and tag of one consumer
	}
	if !eventually(ctx, time.Minute, one) {
		t.Errorf("consumers of the broker: %q, %v", out, err)
	}
}

// permissionsRevoked takes the user's permissions away and gives them back. Refusals are typed, named in the
// state, and not repeated in a tight loop.
func permissionsRevoked(t *testing.T, b *broker) {
	g := visit(t, b)
	ctx := within(t, 3*time.Minute)
	_, err := g.Declare(ctx, warren.Topology{
		Exchanges: []warren.Exchange{{Name: "news"}},
		Queues:    []warren.Queue{{Name: "readers", AutoDelete: true}},
		Bindings:  []warren.Binding{{Source: "news", Destination: "readers", RoutingKey: "k"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	consumed := make(chan string, 1)
	go func() {
		_ = g.Consume(ctx, "readers", func(_ context.Context, d *warren.Delivery) error {
			consumed <- string(d.Body)
			return nil
		})
	}()
	pub, err := g.Publisher(publisher.Exchange("news"))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	mustCtl(t, b, "set_permissions", "-p", "/", "guest", "^$", "^$", "^$")
	mark := g.events.mark()
	mustCtl(t, b, "close_all_connections", "permissions changed")
	refused := wanted{"quarantined by 403", func(e warren.Event) bool {
		return e.Kind == recovery.EventQuarantined && errors.Is(e.Err, core.ErrAccessRefused)
	}}
	if err := g.events.await(ctx, mark, refused); err != nil {
		t.Fatal(err)
	}
	if err := pub.Publish(ctx, warren.Message{RoutingKey: "k"}); !errors.Is(err, core.ErrAccessRefused) {
		t.Errorf("publish without permission = %v, want %v", err, core.ErrAccessRefused)
	}
	if s := g.State(); len(s.Degraded) == 0 {
		t.Errorf("state %+v, want it degraded", s)
	}
	if err := hold(ctx, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	if n := g.events.count(mark, refused); n > 20 {
		t.Errorf("%d refusals in a few seconds", n)
	}
	mustCtl(t, b, "set_permissions", "-p", "/", "guest", ".*", ".*", ".*")
	if err := g.AwaitReady(ctx); err != nil {
		t.Fatalf("with the permissions back: %v: state %+v", err, g.State())
	}
	if err := pub.Publish(ctx, warren.Message{RoutingKey: "k", Body: []byte("after")}); err != nil {
		t.Fatal(err)
	}
	select {
	case body := <-consumed:
		if body != "after" {
			t.Errorf("consumed %q", body)
		}
	case <-ctx.Done():
		t.Error("nothing is consumed with the permissions back")
	}
}
