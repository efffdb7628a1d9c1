package ledger_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/recovery"
)

// TestTheClientLeavesNothing has clients lose connections, one after the other, and looks
// what is left of them.
func TestTheClientLeavesNothing(t *testing.T) {
	live := func() {
		b := brokertest.New(t)
		defer b.Close()
		client, err := warren.Dial(t.Context(), b.URL(), warren.WithRetry(func() backoff.BackOff { return &backoff.ZeroBackOff{} }))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Declare(t.Context(), warren.Topology{Queues: []warren.Queue{{Name: queueName}}}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			b.Cut()
			if !until(patience, func() bool { return len(b.Connections()) > 0 }) {
				t.Fatal("the client does not come back")
			}
		}
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	live() // what is made once is made
	before := ledger.Stock()
	for range 5 {
		live()
	}
	after := ledger.StockBack(before, patience)
	report, err := ledger.New(1).Check(ledger.Rules{Growth: 1 << 20}, ledger.Facts{Drained: true, Before: before, After: after})
	if err != nil || report.Verdict() != ledger.Green {
		t.Errorf("%v\n%s", err, report)
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
