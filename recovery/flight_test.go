package recovery

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
)

// Who was at it alone is to blame, and nobody else is: whoever had company at any moment does not know.
func TestWhoWasAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Resolver: Endpoints(core.Config{})})
		defer c.stop(core.ErrClosed)
		one, two, three := c.Join("one"), c.Join("two"), c.Join("three")
		begin := func(m *Member) { must(t, m.Begin(t.Context(), false)) }
		end := func(m *Member, want bool) {
			t.Helper()
			if got := m.End(); got != want {
				t.Errorf("%s was alone: %t, want %t", m.name, got, want)
			}
		}
		for range 3 { // what was is over when there is none
			begin(one)
			end(one, true)
			begin(one)
			begin(two)
			end(one, false)
			begin(three)
			end(two, false)
			end(three, false)
			begin(two)
			end(two, true)
		}
	})
}

// Who wants to be alone waits for those who are at it, and others wait for it, each within its context.
func TestWhoWantsToBeAloneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Resolver: Endpoints(core.Config{})})
		defer c.stop(core.ErrClosed)
		one, two, three := c.Join("one"), c.Join("two"), c.Join("three")
		for _, other := range []bool{false, true} {
			must(t, one.Begin(t.Context(), false))
			must(t, two.Begin(t.Context(), false))
			begun := make(chan error, 2)
			go func() { begun <- three.Begin(t.Context(), true) }()
			synctest.Wait()
			one.End()
			synctest.Wait()
			if len(begun) > 0 {
				t.Fatal("begun beside another")
			}
			two.End()
			must(t, <-begun)

			go func() { begun <- one.Begin(t.Context(), other) }()
			short, cancel := context.WithTimeoutCause(t.Context(), time.Second, core.ErrTimeout)
			if err := two.Begin(short, false); err != core.ErrTimeout {
				t.Errorf("begun beside one that is to be alone, or ended with another error: %v", err)
			}
			cancel()
			if len(begun) > 0 {
				t.Fatal("begun beside one that is to be alone")
			}
			if !three.End() {
				t.Error("it was not alone")
			}
			must(t, <-begun)
			one.End()
		}
	})
}
