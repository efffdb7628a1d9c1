package ledger_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// TestTheClientLeavesNothing has clients lose connections while they publish and consume, one after the other, closes
// them in the middle of that, and looks what is left of them.
func TestTheClientLeavesNothing(t *testing.T) {
	liveAndDie(t) // what is made once is made
	before := ledger.Stock()
	for range 5 {
		liveAndDie(t)
	}
	after := ledger.StockBack(before, patience)
	report, err := ledger.New(1).Check(ledger.Rules{Growth: 1 << 20}, ledger.Facts{Drained: true, Before: before, After: after})
	if err != nil || report.Verdict() != ledger.Green {
		t.Errorf("%v\n%s", err, report)
	}
}

// liveAndDie closes a client that has publishes without a verdict, a handler at work and deliveries behind it.
func liveAndDie(t *testing.T) {
	t.Helper()
	b := brokertest.New(t)
	defer b.Close()
	client, err := warren.Dial(t.Context(), b.URL(), warren.WithRetry(func() backoff.BackOff { return &backoff.ZeroBackOff{} }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Declare(t.Context(), warren.Topology{Queues: []warren.Queue{{Name: queueName}}}); err != nil {
		t.Fatal(err)
	}
	unconfirmed := b.OnReceive(wire.MethodBasicPublish, func(brokertest.Event) brokertest.Action { return brokertest.Unconfirmed })
	pub, err := client.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	receipts := make([]*publisher.Receipt, 10)
	for i := range receipts {
		if receipts[i], err = pub.Send(t.Context(), warren.Message{RoutingKey: queueName}); err != nil {
			t.Fatal(err)
		}
	}
	var handled atomic.Int64
	var consuming sync.WaitGroup
	consuming.Go(func() {
		_ = client.Consume(context.WithoutCancel(t.Context()), queueName, func(ctx context.Context, _ *warren.Delivery) error {
			handled.Add(1)
			<-ctx.Done() // as long as the channel lives
			return ctx.Err()
		})
	})
	for range 3 {
		sent, begun := unconfirmed.Hits(), handled.Load()
		b.Cut()
		if !until(patience, func() bool { return unconfirmed.Hits() >= sent+len(receipts) && handled.Load() > begun }) {
			t.Fatal("the client does not come back")
		}
	}
	if n := pub.Stats().Open; n != len(receipts) {
		t.Errorf("%d publishes are open, want all %d", n, len(receipts))
	}
	if err := client.Close(t.Context()); err != nil {
		t.Error(err)
	}
	consuming.Wait()
	for _, receipt := range receipts {
		if o := receipt.Verdict().Outcome; o != core.OutcomeUnknown {
			t.Errorf("a publish that was under way ended as %v, want %v", o, core.OutcomeUnknown)
		}
	}
}

// TestAFleetDoesNotComeBackAtOnce has clients lose their broker together, and looks how
// their attempts to connect again are spread.
func TestAFleetDoesNotComeBackAtOnce(t *testing.T) {
	const clients, longest, outage = 20, 10 * time.Second, 2 * time.Minute
	for name, c := range map[string]struct {
		retry func() backoff.BackOff
		want  ledger.Verdict
	}{
		"full jitter": {func() backoff.BackOff { return recovery.FullJitter(backoff.NewConstantBackOff(longest)) }, ledger.Green},
		"no jitter":   {func() backoff.BackOff { return backoff.NewConstantBackOff(longest) }, ledger.Red},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				var mu sync.Mutex // guards waits
				var waits []time.Duration
				for range clients {
					var last time.Time // of the client's failed attempts
					client, err := warren.Dial(t.Context(), "amqp://", warren.WithRetry(c.retry), warren.WithConnection(func(c *core.Config) {
						c.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
							nc, err := b.DialContext(ctx, network, addr)
							mu.Lock()
							defer mu.Unlock()
							if err != nil && !last.IsZero() {
								waits = append(waits, time.Since(last))
							}
							if last = time.Now(); err == nil {
								last = time.Time{}
							}
							return nc, err
						}
					}))
					if err != nil {
						t.Fatal(err)
					}
					defer client.Close(t.Context())
				}
				b.Stop()
				time.Sleep(outage)
				b.Start()
				time.Sleep(2 * longest)
				if n := len(b.Connections()); n != clients {
					t.Errorf("%d clients are back, of %d", n, clients)
				}
				report, err := ledger.New(1).Check(ledger.Rules{MaxWait: longest}, ledger.Facts{Drained: true, Waits: waits})
				if err != nil || report.Verdict() != c.want {
					t.Errorf("%v, %d waits\n%s", err, len(waits), report)
				}
			})
		})
	}
}
