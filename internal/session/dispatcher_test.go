package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/recovery"
)

func TestListenersGetEveryEventInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDispatcher(0)
		var one, two []recovery.Event
		d.Listen(func(e recovery.Event) { one = append(one, e) })
		d.Listen(func(e recovery.Event) { two = append(two, e) })
		for i := range 100 {
			d.Emit(blocked(i))
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(one) != 100 || describe(one...) != describe(two...) || one[0].Entity != "0" || one[99].Entity != "99" {
			t.Errorf("listeners got %d and %d events: %s", len(one), len(two), describe(one...))
		}
	})
}

func TestEmitNeverBlocksOnASlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDispatcher(2)
		var got []recovery.Event
		release := make(chan struct{})
		d.Listen(func(e recovery.Event) { <-release; got = append(got, e) })
		begun := time.Now()
		for i := range 5 {
			d.Emit(blocked(i))
			synctest.Wait() // the first is with the listener, the others wait
		}
		if since := time.Since(begun); since != 0 {
			t.Errorf("emitting took %s", since)
		}
		close(release)
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := "blocked 0, dropped 2, blocked 3, blocked 4"; describe(got...) != want {
			t.Errorf("got %s; want %s", describe(got...), want)
		}
	})
}

func TestAListenerMayUseTheDispatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDispatcher(0)
		var outer, inner int
		var stop func()
		stop = d.Listen(func(e recovery.Event) {
			outer++
			d.Listen(func(recovery.Event) { inner++ })
			d.Emit(blocked(2))
			stop()
		})
		d.Emit(blocked(1))
		synctest.Wait()
		if outer != 1 || inner != 1 {
			t.Errorf("outer was called %d times, inner %d times; want 1 and 1", outer, inner)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAListenerMayCloseTheDispatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDispatcher(0)
		calls := 0
		d.Listen(func(recovery.Event) {
			calls++
			if err := d.Close(context.Background()); !errors.Is(err, errListening) {
				t.Errorf("close: %v; want %v", err, errListening)
			}
		})
		d.Emit(blocked(1))
		d.Emit(blocked(2))
		time.Sleep(2 * listenerGrace) // in the bubble: no time passes
		synctest.Wait()
		if err := d.Close(t.Context()); err != nil {
			t.Errorf("close from outside: %v", err)
		}
		if calls != 1 {
			t.Errorf("the listener was called %d times; want once", calls)
		}
	})
}

func TestCloseOfTheDispatcherEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDispatcher(0)
		release := make(chan struct{})
		d.Listen(func(recovery.Event) { <-release })
		d.Emit(blocked(1))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := d.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		close(release)
	})
}

func TestASlowListenerThatMakesProgressIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDispatcher(0)
		calls := 0
		d.Listen(func(recovery.Event) { time.Sleep(listenerGrace / 2); calls++ })
		for i := range 10 {
			d.Emit(blocked(i))
		}
		if err := d.Close(t.Context()); err != nil || calls != 10 {
			t.Errorf("close: %v after %d calls; want nil after 10", err, calls)
		}
	})
}

func TestSubscriptionsAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDispatcher(2)
		release := make(chan struct{})
		d.Listen(func(recovery.Event) { <-release })
		fast, slow := d.Subscribe(), d.Subscribe()
		for i := range 4 {
			d.Emit(blocked(i))
			if e, err := fast.Next(t.Context()); err != nil || describe(e) != describe(blocked(i)) {
				t.Errorf("fast got %s, %v", describe(e), err)
			}
		}
		close(release)
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got []recovery.Event
		e, err := slow.Next(t.Context())
		for ; err == nil; e, err = slow.Next(t.Context()) {
			got = append(got, e)
		}
		if want := "dropped 2, blocked 2, blocked 3"; describe(got...) != want || !errors.Is(err, core.ErrClosed) {
			t.Errorf("slow got %s, then %v; want %s, then %v", describe(got...), err, want, core.ErrClosed)
		}
	})
}

func TestEventsEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDispatcher(0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		events := d.Events(ctx)
		d.Emit(blocked(1)) // before the loop begins
		n := 0
		for range events {
			n++
			cancel()
		}
		synctest.Wait()
		if n != 1 || len(d.subs) != 0 {
			t.Errorf("%d events, %d subscriptions left; want 1 and 0", n, len(d.subs))
		}
	})
}

func TestUnusedEventsLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDispatcher(0)
		ctx, cancel := context.WithCancel(t.Context())
		d.Events(ctx)
		cancel()
		synctest.Wait()
		if len(d.subs) != 0 {
			t.Errorf("%d subscriptions left", len(d.subs))
		}
	})
}

func TestAfterCloseNothingIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDispatcher(0)
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.Listen(func(recovery.Event) { t.Error("called") })()
		d.Emit(blocked(1))
		for range d.Events(t.Context()) {
			t.Error("yielded")
		}
	})
}
