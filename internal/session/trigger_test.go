package session

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

func TestEveryConnectionHasTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		var names []any
		a.On(func(_ *sessiontest.Peer, _ uint16, m wire.Method) bool {
			if s, ok := m.(*wire.ConnectionStartOk); ok {
				names = append(names, s.ClientProperties["connection_name"])
			}
			return false
		})
		endpoint := a.Endpoint()
		endpoint.Name = "orders"
		c, _ := connected(t, Config{}, endpoint)
		a.Drop()
		awaitEpoch(t, c, 2)
		if !slices.Equal(names, []any{"orders", "orders"}) {
			t.Errorf("names %v", names)
		}
	})
}

// Who closes a connection that is being made hears nothing of another attempt.
func TestClosingWhileConnectingAnnouncesNoRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, j := connected(t, Config{}, a.Endpoint())
		a.On(func(_ *sessiontest.Peer, _ uint16, m wire.Method) bool { return m == nil }) // it accepts, and says nothing
		a.Drop()
		time.Sleep(time.Second)
		before := len(j.Of(recovery.EventRetrying))
		must(t, c.Close(t.Context()))
		time.Sleep(time.Hour)
		if after := j.Of(recovery.EventRetrying); len(after) != before {
			t.Errorf("announced after the close: %+v", after[before:])
		}
	})
}
