package session

import (
	"context"
	"errors"
	"slices"
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

// chained returns a recorder of exchange a, feeding b, feeding queue q; and of
// queue other, fed by a.
func chained() *record.Recorder {
	r := record.NewRecorder()
	r.Exchange(topology.Exchange{Name: "a"})
	r.Exchange(topology.Exchange{Name: "b", AutoDelete: true})
	r.Queue(topology.Queue{Name: "q", AutoDelete: true}, "q")
	r.Queue(topology.Queue{Name: "other"}, "other")
	r.Binding(topology.Binding{Source: "a", Destination: "b", ToExchange: true})
	r.Binding(topology.Binding{Source: "b", Destination: "q"})
	r.Binding(topology.Binding{Source: "a", Destination: "other"})
	return r
}

// TestABindingIsRetriedWithItsEnds is the race with the end of the lost
// connection: its auto-delete queue goes after the replay has found all there,
// and takes the auto-delete exchange along.
func TestABindingIsRetriedWithItsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sessiontest.NewServer(t, &memnet.Network{}, "rabbit:5672")
		var gone atomic.Bool // exchange b, after the replay has found it
		gone.Store(true)
		s.On(refusing(func(m wire.Method) bool {
			b, toQueue := m.(*wire.QueueBind)
			_, toExchange := m.(*wire.ExchangeBind)
			return gone.Load() && (toExchange || toQueue && b.Exchange == "b")
		}, core.ErrNotFound))
		c, j := connected(t, Config{Recorder: chained()}, s.Endpoint())
		if got := len(j.Of(recovery.EventQuarantined)); got != 2 {
			t.Fatalf("%d quarantined, want both bindings of b", got)
		}
		s.Received()
		gone.Store(false)
		time.Sleep(firstRetry)
		synctest.Wait()
		want := []string{
			"exchange.declare a", "exchange.declare b", "queue.declare q", "exchange.bind", "queue.bind q b ",
		}
		if got := s.Received(); !slices.Equal(sorted(got), sorted(want)) {
			t.Errorf("retried %q, want %q", got, want)
		}
		if s := c.State(); !s.Ready() {
			t.Errorf("state %+v", s)
		}
	})
}

func TestRedeclareBringsBackWhatLeadsToTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sessiontest.NewServer(t, &memnet.Network{}, "rabbit:5672")
		c, _ := connected(t, Config{Recorder: chained()}, s.Endpoint())
		s.Received()
		recorded, err := c.Redeclare(context.Background(), awaitEpoch(t, c, 1), "q")
		if !recorded || err != nil {
			t.Errorf("Redeclare = %t, %v", recorded, err)
		}
		want := []string{
			"exchange.declare a", "exchange.declare b", "queue.declare passive q", "queue.declare q", "exchange.bind", "queue.bind q b ",
		}
		if got := s.Received(); !slices.Equal(sorted(got), sorted(want)) {
			t.Errorf("declared %q, want %q", got, want)
		}
		if recorded, err := c.Redeclare(context.Background(), awaitEpoch(t, c, 1), "unknown"); recorded || err != nil {
			t.Errorf("Redeclare of a queue that is not recorded = %t, %v", recorded, err)
		}
	})
}

func TestRedeclareNamesTheFirstRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sessiontest.NewServer(t, &memnet.Network{}, "rabbit:5672")
		c, _ := connected(t, Config{Recorder: chained()}, s.Endpoint())
		s.On(refusing(func(m wire.Method) bool {
			e, ok := m.(*wire.ExchangeDeclare)
			return ok && e.Exchange == "b"
		}, core.ErrAccessRefused))
		s.Received()
		recorded, err := c.Redeclare(context.Background(), awaitEpoch(t, c, 1), "q")
		if !recorded || !errors.Is(err, core.ErrAccessRefused) {
			t.Errorf("Redeclare = %t, %v", recorded, err)
		}
		if got := s.Count("queue.declare q"); got != 1 {
			t.Errorf("the queue was declared %d times after the refusal of an exchange", got)
		}
	})
}

// refusing is a script that refuses some methods, and ignores what follows on
// the channel as a broker does.
func refusing(what func(wire.Method) bool, code core.Code) func(*sessiontest.Peer, uint16, wire.Method) bool {
	closing := map[uint16]bool{}
	return func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
		switch m.(type) {
		case *wire.ChannelOpen, *wire.ChannelCloseOk:
			delete(closing, channel)
		}
		if closing[channel] {
			return true
		}
		if m != nil && what(m) {
			closing[channel] = true
			return p.Refuse(channel, m, code, "refused")
		}
		return false
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
