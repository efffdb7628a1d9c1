package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

const (
	herdSize    = 1000
	herdTimeout = 4 * time.Minute
)

// herd is many clients of one broker, each with an exclusive queue and a consumer of it.
type herd struct {
	clients  []*warren.Client
	received []atomic.Int64 // by client
	running  sync.WaitGroup

	mu     sync.Mutex // guards the following
	dials  []time.Time
	waited []int // by client: how often it waited to connect again
	waits  []time.Duration
}

func newHerd() *herd {
	return &herd{clients: make([]*warren.Client, herdSize), received: make([]atomic.Int64, herdSize), waited: make([]int, herdSize)}
}

// watch has the herd note each connection that b's proxy accepts, and l what passes on it.
func (h *herd) watch(b *broker, l *ledger.Ledger) {
	b.proxy.Observe(func() faultproxy.Observer {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.dials = append(h.dials, time.Now())
		return l.Conn()
	})
}

// note notes how long client i waits to connect again, as a share of the range that it is drawn from, which a second
// stands for.
func (h *herd) note(i int, e warren.Event) {
	if e.Kind != recovery.EventRetrying || e.Delay == 0 { // at once
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	least, limit := time.Duration(0), 500*time.Millisecond<<min(h.waited[i], 5)
	if limit > 8*time.Second { // even waits
		least, limit = 7500*time.Millisecond, 10500*time.Millisecond
	}
	h.waited[i]++
	h.waits = append(h.waits, time.Duration(float64(e.Delay-least)/float64(limit-least)*float64(time.Second)))
}

// reset returns when connections were tried since the last reset, and the waits before them.
func (h *herd) reset() (dials []time.Time, waits []time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	dials, waits = h.dials, h.waits
	h.dials, h.waits = nil, nil
	slices.SortFunc(dials, time.Time.Compare)
	return dials, waits
}

// spread returns what a ledger has against waits that are not spread evenly below a second.
func spread(t *testing.T, waits []time.Duration) (violations []ledger.Violation) {
	t.Helper()
	report, err := ledger.New(1).Check(ledger.Rules{MaxWait: time.Second}, ledger.Facts{Waits: waits})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(report.NotChecked, "L4 (spread)") {
		t.Errorf("%d waits are too few", len(waits))
	}
	return report.Violations
}

// TestAHerdWithoutJitterIsSeen takes the waits of a herd that come as the default draws them, and of others.
func TestAHerdWithoutJitterIsSeen(t *testing.T) {
	constant := func() backoff.BackOff { return backoff.NewConstantBackOff(500 * time.Millisecond) }
	exponential := func() backoff.BackOff {
		return backoff.NewExponentialBackOff(backoff.WithRandomizationFactor(0), backoff.WithMultiplier(2), backoff.WithMaxInterval(30*time.Second))
	}
	for name, c := range map[string]struct {
		policy func() backoff.BackOff
		fair   bool
	}{
		"the default": {recovery.DefaultRetry, true}, "constant": {constant, false}, "exponential": {exponential, false},
		"jitter of a constant": {func() backoff.BackOff { return recovery.FullJitter(constant()) }, false},
	} {
		h := newHerd()
		for i := range herdSize {
			h.note(i, warren.Event{Kind: recovery.EventRetrying}) // the first attempt is made at once
			for policy, n := c.policy(), 0; n < 8; n++ {
				h.note(i, warren.Event{Kind: recovery.EventRetrying, Delay: policy.NextBackOff()})
			}
		}
		if _, waits := h.reset(); (len(spread(t, waits)) == 0) != c.fair {
			t.Errorf("%s: fair is to be %v: %v", name, c.fair, spread(t, waits))
		}
	}
}

// each calls f with every client, a few dozen at a time.
func (h *herd) each(ctx context.Context, f func(context.Context, int) error) error {
	next, errs := make(chan int), make(chan error, herdSize)
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					errs <- fmt.Errorf("client %d: %w", i, err)
				}
			}
		})
	}
	for i := range herdSize {
		next <- i
	}
	close(next)
	workers.Wait()
	close(errs)
	return <-errs
}

// join connects client i.
func (h *herd) join(ctx context.Context, b *broker, i int) (err error) {
	if h.clients[i], err = warren.Dial(ctx, b.URL(), warren.WithListener(func(e warren.Event) { h.note(i, e) }),
		warren.WithConnection(func(c *core.Config) { c.Heartbeat = 30 * time.Second }),
		// The waits of the second loss go on where those of the first ended, however long lies between, so that the
		// limit of each is known.
		warren.WithRecovery(func(c *recovery.Config) { c.StableAfter = time.Hour })); err != nil {
		return err
	}
	d, err := h.clients[i].Declare(ctx, warren.Topology{
		Exchanges: []warren.Exchange{{Name: "herd", Type: topology.Fanout}},
		Queues:    []warren.Queue{{Exclusive: true, Transient: true}},
		Bindings:  []warren.Binding{{Source: "herd"}},
	})
	if err != nil {
		return err
	}
	c, err := h.clients[i].Consumer(d.Queues[0])
	if err != nil {
		return err
	}
	h.running.Go(func() {
		_ = c.Run(context.Background(), func(context.Context, *warren.Delivery) error {
			h.received[i].Add(1)
			return nil
		})
	})
	return nil
}

// epochs returns which connection each client is at.
func (h *herd) epochs() []uint64 {
	all := make([]uint64, herdSize)
	for i, c := range h.clients {
		all[i] = c.State().Epoch
	}
	return all
}

func (h *herd) close() {
	ctx, cancel := context.WithTimeout(context.Background(), herdTimeout)
	defer cancel()
	_ = h.each(ctx, func(ctx context.Context, i int) error {
		if h.clients[i] == nil {
			return nil
		}
		return h.clients[i].Close(ctx)
	})
	h.running.Wait()
}

// call publishes one message and waits until every client has got it.
func (h *herd) call(ctx context.Context, t *testing.T, g *guest) {
	t.Helper()
	pub, err := g.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	before := make([]int64, herdSize)
	for i := range before {
		before[i] = h.received[i].Load()
	}
	if err := pub.Publish(ctx, warren.Message{Exchange: "herd"}); err != nil {
		t.Fatal(err)
	}
	missing := 0
	if !eventually(ctx, herdTimeout, func() bool {
		missing = 0
		for i := range before {
			if h.received[i].Load() == before[i] {
				missing++
			}
		}
		return missing == 0
	}) {
		t.Fatalf("%d clients got nothing", missing)
	}
}

// TestAThousandClientsComeBack has a broker lose all of them at once, by a cut of the network and by its own
// death: each is back with its queue and its consumer in time, their waits are spread, and their attempts bounded.
func TestAThousandClientsComeBack(t *testing.T) {
	if !long() {
		t.Skip("a thousand clients connect with make chaos")
	}
	for _, version := range versions() {
		t.Run(version, func(t *testing.T) { thousandComeBack(t, startBroker(t, version)) })
	}
}

func thousandComeBack(t *testing.T, b *broker) {
	h := newHerd()
	h.watch(b, newLedger(t, b))
	g := call(t, b) // goes last, and finds that nothing of the others is left
	t.Cleanup(h.close)
	begun := time.Now()
	if err := h.each(within(t, herdTimeout), func(ctx context.Context, i int) error { return h.join(ctx, b, i) }); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clients connected in %v", herdSize, time.Since(begun).Round(time.Millisecond))
	h.call(within(t, herdTimeout), t, g)
	h.lose(t, g, "reset", func(context.Context) error { b.proxy.Reset(); return nil })
	waits := h.lose(t, g, "killed", func(ctx context.Context) error {
		if err := b.Kill(ctx); err != nil {
			return err
		}
		return b.Restart(ctx)
	})
	if len(waits) < herdSize { // the broker was away for seconds
		t.Errorf("%d waits of %d clients", len(waits), herdSize)
	}
	for _, v := range spread(t, waits) {
		t.Error(v)
	}
}

// lose has all clients lose their connections in that way and come back, and returns their waits.
func (h *herd) lose(t *testing.T, g *guest, name string, lose func(context.Context) error) (waits []time.Duration) {
	t.Helper()
	h.reset()
	epochs := h.epochs()
	ctx := within(t, 2*herdTimeout)
	mark := g.events.mark()
	begun := time.Now()
	if err := lose(ctx); err != nil {
		t.Fatal(err)
	}
	if err := g.events.await(ctx, mark, lost); err != nil {
		t.Fatal(err)
	}
	healed := time.Now()
	if err := h.each(ctx, func(ctx context.Context, i int) error {
		if !eventually(ctx, herdTimeout, func() bool { return h.clients[i].State().Epoch > epochs[i] }) {
			return fmt.Errorf("still without a new connection: %+v", h.clients[i].State())
		}
		return h.clients[i].AwaitReady(ctx)
	}); err != nil {
		t.Fatal(err)
	}
	h.call(ctx, t, g)
	dials, waits := h.reset()
	took := time.Since(healed)
	t.Logf("%s: outage %v, then all back after %v; %d attempts, at most %d within a second; %d waits", name, healed.Sub(begun).Round(time.Millisecond),
		took.Round(time.Millisecond), len(dials), densest(dials, time.Second), len(waits))
	if took > 2*time.Minute {
		t.Errorf("%s: all back only after %v", name, took)
	}
	if len(dials) < herdSize {
		t.Errorf("%s: the proxy saw %d attempts to connect, of %d clients", name, len(dials), herdSize)
	}
	if first, peak := firstAndPeak(dials); peak > peakDials {
		t.Errorf("%s: after the first attempt of each, of %d in all, %d within a second, want at most %d", name, first, peak, peakDials)
	}
	if most := herdSize * 12; len(dials) > most {
		t.Errorf("%s: %d attempts to connect, want at most %d", name, len(dials), most)
	}
	return waits
}

// peakDials is the most attempts that all clients may make within a second once each has made its first, at once. The
// second waits a random time below half a second, the third below one, and so on: each of a thousand clients may make
// both within the same second, and few a third.
const peakDials = 3 * herdSize

// firstAndPeak splits sorted attempts at the first of all clients, and returns how many those are, and the peak of the
// others within any second.
func firstAndPeak(dials []time.Time) (first, peak int) {
	first = min(herdSize, len(dials))
	return first, densest(dials[first:], time.Second)
}

func TestThePeakAfterTheFirstAttempts(t *testing.T) {
	begun := time.Now()
	var dials []time.Time
	for i := range 3 * herdSize {
		at := begun
		if i >= herdSize {
			at = begun.Add(time.Duration(i) * time.Millisecond)
		}
		dials = append(dials, at)
	}
	if first, peak := firstAndPeak(dials); first != herdSize || peak != 1000 {
		t.Errorf("%d first, a peak of %d within a second", first, peak)
	}
}

// densest returns the most of sorted times that lie within any window of d.
func densest(times []time.Time, d time.Duration) (most int) {
	from := 0
	for i := range times {
		for times[i].Sub(times[from]) >= d {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}
