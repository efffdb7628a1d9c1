package channel

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

// A connection that serves others is not given up because something in quarantine cannot be tried.
func TestARetryThatCannotBeMadeCostsNoConnection(t *testing.T) {
	tests := []struct {
		name string
		hurt func(t *testing.T, c *session.Connection, a *sessiontest.Server) (heal func())
	}{
		{"all channels are in use", func(t *testing.T, c *session.Connection, a *sessiontest.Server) func() {
			a.On(nil)
			first, err := Open(t.Context(), c)
			must(t, err)
			_, err = Open(t.Context(), c)
			must(t, err)
			return func() { must(t, first.Close(t.Context())) }
		}},
		{"no channel is opened", func(_ *testing.T, _ *session.Connection, a *sessiontest.Server) func() {
			a.On(func(_ *sessiontest.Peer, _ uint16, m wire.Method) bool { _, ok := m.(*wire.ChannelOpen); return ok })
			return func() { a.On(nil) }
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
					return sessiontest.BindsTo(m, "two") && p.Refuse(channel, m, core.ErrAccessRefused, "ACCESS_REFUSED")
				})
				endpoint := a.Endpoint()
				endpoint.ChannelMax = 2
				c, _ := connected(t, session.Config{Recorder: sessiontest.Recorded(t, sessiontest.Queues("one two")...)}, endpoint)
				heal := test.hurt(t, c, a)
				a.Received()
				time.Sleep(10 * time.Minute)
				if s := c.State(); s.Epoch != 1 || len(s.Degraded) != 1 {
					t.Errorf("after ten minutes: epoch %d, degraded %s; want 1 and the binding", s.Epoch, sessiontest.Entities(s.Degraded))
				}
				heal()
				healed := time.Now()
				must(t, c.Await(t.Context(), recovery.State.Ready))
				if late := time.Since(healed); late > 45*time.Second { // one try may be under way
					t.Errorf("restored %s after it could be", late)
				}
			})
		})
	}
}
