package session

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/recovery"

	"github.com/cenkalti/backoff/v4"
)

// exiting ends the goroutine at its first calls.
type exiting int

func (n *exiting) maybe() {
	if *n--; *n >= 0 {
		runtime.Goexit()
	}
}

type exitingPolicy struct {
	backoff.BackOff
	left *exiting
}

func (p exitingPolicy) NextBackOff() time.Duration { p.left.maybe(); return p.BackOff.NextBackOff() }
func (p exitingPolicy) Reset()                     { p.left.maybe(); p.BackOff.Reset() }

func TestAListenerThatExitsDoesNotSilenceTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDispatcher(0)
		var got []recovery.Event
		d.Listen(func(recovery.Event) { runtime.Goexit() })
		d.Listen(func(e recovery.Event) { got = append(got, e) })
		for i := range 3 {
			d.Emit(blocked(i))
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if describe(got...) != "blocked 0, blocked 1, blocked 2" {
			t.Errorf("the other listener got %s", describe(got...))
		}
	})
}
