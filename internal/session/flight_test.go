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

// Who was at it alone is to blame, and nobody else is: whoever had company at any moment does not know.
func TestWhoWasAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Resolver: recovery.Endpoints(core.Config{})})
		defer c.stop(core.ErrClosed)
		const one, two, three = "one", "two", "three"
		begin := func(string) { must(t, c.beginAttempt(t.Context(), false)) }
		end := func(name string, want bool) {
			t.Helper()
			if got := c.endAttempt(); got != want {
				t.Errorf("%s was alone: %t, want %t", name, got, want)
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
		c := New(Config{Resolver: recovery.Endpoints(core.Config{})})
		defer c.stop(core.ErrClosed)
		for _, other := range []bool{false, true} {
			must(t, c.beginAttempt(t.Context(), false))
			must(t, c.beginAttempt(t.Context(), false))
			begun := make(chan error, 2)
			go func() { begun <- c.beginAttempt(t.Context(), true) }()
			synctest.Wait()
			c.endAttempt()
			synctest.Wait()
			if len(begun) > 0 {
				t.Fatal("begun beside another")
			}
			c.endAttempt()
			must(t, <-begun)

			go func() { begun <- c.beginAttempt(t.Context(), other) }()
			short, cancel := context.WithTimeoutCause(t.Context(), time.Second, core.ErrTimeout)
			if err := c.beginAttempt(short, false); err != core.ErrTimeout {
				t.Errorf("begun beside one that is to be alone, or ended with another error: %v", err)
			}
			cancel()
			if len(begun) > 0 {
				t.Fatal("begun beside one that is to be alone")
			}
			if !c.endAttempt() {
				t.Error("it was not alone")
			}
			must(t, <-begun)
			c.endAttempt()
		}
	})
}

func TestWhoIsBlamedForTheEndOfTheConnection(t *testing.T) {
	refused := core.Error{Code: core.ErrInternal, Method: "basic.consume", Server: true}
	unnamed, other, forced, ours, channel := refused, refused, refused, refused, refused
	unnamed.Method, other.Method, ours.Server, channel.Scope = "", "queue.declare", false, core.ScopeChannel
	forced.Method, forced.Code = "", core.ErrConnectionForced
	for name, c := range map[string]struct {
		lost         error
		alone, again bool
		want         Blame
	}{
		"alone":                {&refused, true, false, Offender},
		"in company":           {&refused, false, false, Suspect},
		"in company again":     {&refused, false, true, Suspect},
		"no method":            {&unnamed, true, false, Suspect},
		"no method again":      {&unnamed, true, true, Offender},
		"no method in company": {&unnamed, false, true, Suspect},
		"another method":       {&other, true, true, NotBlamed},
		"an operator":          {&forced, true, true, NotBlamed},
		"this side":            {&ours, true, true, NotBlamed},
		"only the channel":     {&channel, true, true, NotBlamed},
		"the network":          {errors.New("reset"), true, true, NotBlamed},
	} {
		if got := judge(c.lost, c.alone, c.again); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
