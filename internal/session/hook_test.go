package session

import (
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/recovery"
)

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
