package publisher

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session"
)

// A sender that is let into the window at the moment when its context ends may
// be the last one inside: who waits for the window to be empty must learn that
// it has left.
func TestWithdrawingTheLastMessageWakesWhoDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(session.New(session.Config{}), Window(1, 1))
		if err != nil {
			t.Fatal(err)
		}
		p.started = true // there is no runner
		withdrawn := 0
		for range 100 {
			p.window.enter(0)
			ctx, cancel := context.WithCancel(t.Context())
			r := &Receipt{p: p, ctx: ctx}
			entered := make(chan error, 1)
			go func() {
				_, err := p.admit(ctx, r)
				entered <- err
			}()
			synctest.Wait()
			p.mu.Lock()
			cancel()
			p.window.leave(0) // lets the sender in
			empty := p.changed.Wait()
			p.mu.Unlock()
			if <-entered == nil {
				p.mu.Lock()
				p.giveUpLocked(r, core.ErrClosed)
				p.mu.Unlock()
			} else {
				withdrawn++
			}
			select {
			case <-empty:
			default:
				t.Fatalf("nobody was told, %d messages are left", p.window.messages)
			}
		}
		if withdrawn == 0 {
			t.Error("no sender withdrew")
		}
	})
}
