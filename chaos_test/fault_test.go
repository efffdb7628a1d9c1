package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/warren-mq/warren"
)

// fault breaks something below a load and heals it. The load must show that it was hit.
type fault struct {
	name   string
	strike func(ctx context.Context, l *load) error
	shows  wanted // by what the client notices; it is healed afterwards. None: the strike sees to the effect itself
	quiet  bool   // the connections survive it
	heal   func(ctx context.Context, l *load) error
	kill   bool // the broker dies: a few of them must show that something was published and delivered again
	mute   bool // publishes go out and no verdict comes, until the connection is given up: a run must show it
}

const (
	faultTimeout = 10 * time.Minute // for the strike and what it shows
	flowMessages = 200              // confirmed and consumed after each fault before the next
)

// suffer runs the phases of one fault: strike, effect, heal, settle.
func (l *load) suffer(t *testing.T, f fault) {
	t.Helper()
	start, mark := time.Now(), l.events.mark()
	if err := l.strikeAndHeal(t, f, mark); err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	healed := time.Now()
	l.longest = max(l.longest, healed.Sub(start))
	if err := l.flow(within(t, recoverTimeout), flowMessages); err != nil {
		t.Fatalf("after %s: %v\n%s", f.name, err, describe(l.events.since(mark)))
	}
	for _, wait := range []func(context.Context) error{l.probe, l.settle} {
		if err := wait(within(t, recoverTimeout)); err != nil {
			t.Fatalf("after %s: %v", f.name, err)
		}
	}
	if report, err := l.ledger.CheckSoFar(l.rules()); err != nil || len(report.Broken()) > 0 {
		t.Fatalf("after %s: %s %v", f.name, report, err) // what is broken now stays so
	}
	if n := l.events.count(mark, lost); f.quiet && n > 0 {
		t.Errorf("%s: lost %d connections:\n%s", f.name, n, describe(l.events.since(mark)))
	}
	t.Logf("%-40s %6.1fs, then flow after %5.1fs", f.name, healed.Sub(start).Seconds(), time.Since(healed).Seconds())
}

func (l *load) strikeAndHeal(t *testing.T, f fault, mark int) error {
	t.Helper()
	ctx := within(t, faultTimeout)
	leaver := l.arrive(ctx, t)
	defer l.leave(ctx, leaver) // where the fault has failed
	noted := l.ledger.Fault(f.name)
	defer noted.End()
	if err := f.strike(ctx, l); err != nil {
		return fmt.Errorf("strike: %w", err)
	}
	if f.shows.is != nil {
		if err := l.events.await(ctx, mark, f.shows); err != nil {
			return fmt.Errorf("no effect: %w", err)
		}
	}
	noted.Effect()
	l.ask(ctx, leaver)
	if f.mute {
		l.muted++
	}
	if f.kill {
		l.kills++
	}
	if f.heal == nil {
		return nil
	}
	if err := f.heal(ctx, l); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	return nil
}

// askTimeout is for calls that may be in vain.
const askTimeout = 500 * time.Millisecond

// ask waits a moment for clients that may be cut off: they are to answer in time, whatever the answer.
func (l *load) ask(ctx context.Context, c leaver) {
	short, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var asked sync.WaitGroup
	defer asked.Wait()
	asked.Go(func() { l.leave(ctx, c) })
	for name, f := range map[string]func(context.Context) error{
		"await ready": l.client.AwaitReady,
		"declare":     l.declare,
		"channel":     l.openAndClose,
		"publish":     func(ctx context.Context) error { return l.pub.Publish(ctx, warren.Message{RoutingKey: strayKey}) },
	} {
		asked.Go(func() { _ = l.call(short, name, f) })
	}
}

func (l *load) openAndClose(ctx context.Context) error {
	ch, err := l.client.Channel(ctx)
	if err != nil {
		return err
	}
	return ch.Close(ctx)
}

// during returns a fault that strikes and is healed while another lasts, one whose strike sees to its own effect.
func during(lasting, f fault) fault {
	both := f
	both.name = f.name + " during " + lasting.name
	both.quiet = f.quiet && lasting.quiet
	both.strike = func(ctx context.Context, l *load) error {
		if err := lasting.strike(ctx, l); err != nil {
			return err
		}
		return f.strike(ctx, l)
	}
	both.heal = func(ctx context.Context, l *load) error {
		var err error
		if f.heal != nil {
			err = f.heal(ctx, l)
		}
		return errors.Join(err, lasting.heal(ctx, l))
	}
	return both
}

// repeat returns f n times.
func repeat(n int, f fault) []fault {
	list := make([]fault, n)
	for i := range list {
		list[i] = f
	}
	return list
}

// on makes a method of the load's broker a strike or a heal.
func on(f func(*broker, context.Context) error) func(context.Context, *load) error {
	return func(ctx context.Context, l *load) error { return f(l.node, ctx) }
}

// hold lets a fault last.
func hold(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
