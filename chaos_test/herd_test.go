package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
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

	mu    sync.Mutex // guards the following
	dials []time.Time
}

func (h *herd) note(e warren.Event) {
	if e.Kind != recovery.Opened && e.Kind != recovery.Retrying {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dials = append(h.dials, e.Time)
}

// reset returns when connections were tried since the last reset.
func (h *herd) reset() []time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	dials := h.dials
	h.dials = nil
	slices.SortFunc(dials, time.Time.Compare)
	return dials
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
	if h.clients[i], err = warren.Dial(ctx, b.URL(), warren.WithListener(h.note),
		warren.WithConnection(func(c *core.Config) { c.Heartbeat = 30 * time.Second })); err != nil {
		return err
	}
	d, err := h.clients[i].Declare(ctx, warren.Topology{
		Exchanges: []warren.Exchange{{Name: "herd", Kind: topology.Fanout}},
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
// death: each is back with its queue and its consumer in time, and the attempts of all of them stay bounded.
func TestAThousandClientsComeBack(t *testing.T) {
	if !long() {
		t.Skip("a thousand clients connect with make chaos")
	}
	b := startBroker(t, docker.MainVersion)
	newLedger(t, b)
	g := call(t, b) // goes last, and finds that nothing of the others is left
	h := &herd{clients: make([]*warren.Client, herdSize), received: make([]atomic.Int64, herdSize)}
	t.Cleanup(h.close)
	begun := time.Now()
	if err := h.each(within(t, herdTimeout), func(ctx context.Context, i int) error { return h.join(ctx, b, i) }); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clients connected in %v", herdSize, time.Since(begun).Round(time.Millisecond))
	h.call(within(t, herdTimeout), t, g)
	for _, loss := range []struct {
		name string
		lose func(context.Context) error
	}{
		{"reset", func(context.Context) error { b.proxy.Reset(); return nil }},
		{"killed", func(ctx context.Context) error {
			if err := b.Kill(ctx); err != nil {
				return err
			}
			return b.Restart(ctx)
		}},
	} {
		h.reset()
		epochs := h.epochs()
		ctx := within(t, 2*herdTimeout)
		mark := g.events.mark()
		begun := time.Now()
		if err := loss.lose(ctx); err != nil {
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
		dials := h.reset()
		took := time.Since(healed)
		t.Logf("%s: outage %v, then all back after %v; %d attempts, at most %d within a second", loss.name,
			healed.Sub(begun).Round(time.Millisecond), took.Round(time.Millisecond), len(dials), densest(dials, time.Second))
		if took > 2*time.Minute {
			t.Errorf("%s: all back only after %v", loss.name, took)
		}
		if first, peak := firstAndPeak(dials); peak > peakDials {
			t.Errorf("%s: after the first attempt of each, of %d in all, %d within a second, want at most %d", loss.name, first, peak, peakDials)
		}
		if most := herdSize * 12; len(dials) > most {
			t.Errorf("%s: %d attempts to connect, want at most %d", loss.name, len(dials), most)
		}
	}
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
