package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

func TestALossAtEveryStepStartsOver(t *testing.T) {
	recorder := func(t *testing.T) *record.Recorder {
		return sessiontest.Recorded(t, topology.Queue{Name: "q"}, topology.Queue{Exclusive: true})
	}
	for step := 1; ; step++ {
		cut := false
		t.Run(fmt.Sprintf("step %d", step), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				c, _ := connected(t, Config{Recorder: recorder(t)}, a.Endpoint())
				seen, changed := 0, false
				a.On(func(p *sessiontest.Peer, _ uint16, m wire.Method) bool {
					if p.Number != 2 {
						return false
					}
					changed = changed || alters(m)
					if seen++; seen == step {
						cut = true
						p.NC.Reset()
						return true
					}
					return false
				})
				a.Received()
				a.Drop()
				s, err := c.SessionAfter(t.Context(), 1)
				if err != nil {
					t.Fatal(err)
				}
				if s.Conn.Err() != nil { // cut right behind the last step
					awaitEpoch(t, c, s.Epoch+1)
				}
				synctest.Wait()
				got := fmt.Sprint(a.Received())
				wanted := []string{"exchange.declare ", "queue.declare ", "queue.bind amq.gen-"}
				if cut && changed { // what is there now is not known
					wanted = append(wanted, "exchange.declare x", "queue.declare q", "queue.bind q x k")
				}
				for _, want := range wanted {
					if !strings.Contains(got, want) {
						t.Errorf("replayed %s; without %q", got, want)
					}
				}
				if d := c.State().Degraded; len(d) != 0 {
					t.Errorf("degraded: %v", d)
				}
				a.On(nil) // the steps of closing are no part of it
			})
		})
		if !cut {
			if step < 10 {
				t.Errorf("only %d steps were cut", step-1)
			}
			return
		}
	}
}

// alters reports whether m may change what the broker has.
func alters(m wire.Method) bool {
	switch m := m.(type) {
	case *wire.ExchangeDeclare:
		return !m.Passive
	case *wire.QueueDeclare:
		return !m.Passive
	case *wire.QueueBind:
		return true
	}
	return false
}

func TestBlockedEndsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, j := connected(t, Config{}, a.Endpoint())
		a.Peers[0].Send(0, &wire.ConnectionBlocked{Reason: "low on memory"})
		synctest.Wait()
		if e := j.Last(t, recovery.EventBlocked); e.Err.Error() != "low on memory" {
			t.Errorf("reason %v", e.Err)
		}
		a.Drop()
		awaitEpoch(t, c, 2)
		j.Last(t, recovery.EventUnblocked)
	})
}

func TestASilentServerIsGivenUpAtEveryStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		a, b := sessiontest.NewServer(t, n, "a:1"), sessiontest.NewServer(t, n, "b:1")
		c, _ := connected(t, Config{Config: recovery.Config{ReplayTimeout: 40 * time.Second}, Recorder: sessiontest.Recorded(t, topology.Queue{Name: "q", Exclusive: true})}, a.Endpoint(), b.Endpoint())
		b.On(sessiontest.Silent)
		a.On(func(_ *sessiontest.Peer, _ uint16, m wire.Method) bool { // answers no declaration
			_, ok := m.(*wire.QueueBind)
			return ok
		})
		a.Drop()
		s := awaitEpoch(t, c, 2)
		if d := c.State().Degraded; len(d) != 1 || !errors.Is(d[0], core.ErrTimeout) || s.Conn.Err() != nil {
			t.Errorf("degraded: %v; connection %v", d, s.Conn.Err())
		}
	})
}

// However many declarations are not answered, they are found, and set aside.
func TestManyDeclarationsWithoutAnAnswerDoNotStopRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		var silence atomic.Bool
		silence.Store(true)
		a.On(func(_ *sessiontest.Peer, _ uint16, m wire.Method) bool {
			_, ok := m.(*wire.QueueBind)
			return ok && silence.Load()
		})
		c, _ := start(t, Config{Recorder: sessiontest.Recorded(t, sessiontest.Queues("a b c d e f")...)}, a.Endpoint())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		must(t, c.Connect(ctx))
		if d := c.State().Degraded; len(d) != 6 || !errors.Is(d[0], core.ErrTimeout) {
			t.Errorf("degraded: %v", d)
		}
		silence.Store(false)
		must(t, c.Await(ctx, recovery.State.Ready))
	})
}
