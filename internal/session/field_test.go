package session

// What went wrong in other clients, as tests. The defects are listed in
// docs/internals/recovery.md.

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session/sessiontest"
)

// E: the next connection authenticates as the first did.
func TestEveryConnectionUsesTheConfiguredMechanism(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		var got []string
		a.On(func(p *sessiontest.Peer, _ uint16, m wire.Method) bool {
			if m == nil {
				p.Send(0, &wire.ConnectionStart{VersionMinor: 9, Mechanisms: "PLAIN AMQPLAIN EXTERNAL", Locales: "en_US"})
				return true
			}
			if s, ok := m.(*wire.ConnectionStartOk); ok {
				got = append(got, s.Mechanism)
			}
			return false
		})
		endpoint := a.Endpoint()
		endpoint.Mechanisms = []core.Mechanism{core.AMQPlain()}
		c, _ := connected(t, Config{}, endpoint)
		a.Drop()
		awaitEpoch(t, c, 2)
		if fmt.Sprint(got) != "[AMQPLAIN AMQPLAIN]" {
			t.Errorf("mechanisms %v", got)
		}
	})
}
