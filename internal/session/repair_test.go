package session

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// What missed an entity that comes back is tried at once, not when its own wait is over.
func TestWhatMissedSomethingIsTriedWhenThatIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		var down, declared atomic.Bool
		down.Store(true)
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			switch m.(type) {
			case *wire.ExchangeDeclare:
				if down.Load() {
					return p.Refuse(channel, m, core.ErrAccessRefused, "ACCESS_REFUSED")
				}
				declared.Store(true)
			case *wire.QueueBind:
				return !declared.Load() && p.Refuse(channel, m, core.ErrNotFound, "NOT_FOUND - no exchange 'x'")
			}
			return false
		})
		r := record.NewRecorder()
		must(t, r.Exchange(topology.Exchange{Name: "x"}))
		must(t, r.Queue(topology.Queue{Name: "q"}, "q"))
		must(t, r.Binding(topology.Binding{Source: "x", Destination: "q"}))
		c, j := connected(t, Config{Recorder: r}, a.Endpoint())
		time.Sleep(10 * time.Minute) // both are tried every half minute by now, not in step
		down.Store(false)
		for range 60_000 {
			if len(j.Of(recovery.EventRestored)) > 0 {
				break
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		if s := c.State(); !s.Ready() {
			t.Errorf("the exchange is back, and still %s waits", sessiontest.Entities(s.Degraded))
		}
	})
}
