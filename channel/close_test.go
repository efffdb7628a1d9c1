package channel

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session"
)

// Nobody waits for the broker's answer, but it is told.
func TestClosingWithAContextThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		ch := b.channel(t)
		q := declare(t, ch, core.QueueDeclare{Queue: "q", Durable: true})
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		one, two := consume(t, ch, q, "one"), consume(t, ch, q, "two")
		send(t, ch, q, "m")
		if err := one.Cancel(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("cancel: %v", err)
		}
		synctest.Wait()
		if got := tags(b.Broker); got != "two" || two.Err() != nil {
			t.Errorf("consumers %s", got)
		}
		if err := ch.Close(ended); err != nil && !errors.Is(err, context.Canceled) { // nil where the broker has answered by then
			t.Errorf("close: %v", err)
		}
		for range 10 { // some of them are opened already
			if _, err := Open(ended, b.conn); !errors.Is(err, context.Canceled) {
				t.Errorf("a channel: %v", err)
			}
			synctest.Wait()
		}
		if got, _ := b.Queue(q); got.Ready != 1 || got.Unacked != 0 || got.Consumers != 0 {
			t.Errorf("the queue has %+v", got)
		}
		if n := b.Connections()[0].Channels; n != 0 {
			t.Errorf("%d channels are left", n)
		}
		must(t, ch.Close(t.Context()))
	})
}
