package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

func TestStage(t *testing.T) {
	conn, session := new(core.Conn), new(Session)
	failed := errors.New("refused")
	var refused quarantine
	refused.refuse(topology.Queue{Name: "q"}, failed, time.Now())
	tests := []struct {
		name     string
		c        *Connection
		want     recovery.Stage
		degraded int
	}{
		{"idle", &Connection{}, recovery.StageConnecting, 0},
		{"open", &Connection{conn: conn, epoch: 1}, recovery.StageConnected, 0},
		{"replayed, without consumers", &Connection{conn: conn, session: session, epoch: 1}, recovery.StageConsumeReady, 0},
		{"a consumer is still on the last connection", &Connection{conn: conn, session: session, epoch: 2, members: []*Member{{epoch: 2}, {epoch: 1}}}, recovery.StagePublishReady, 0},
		{"every consumer is on this one", &Connection{conn: conn, session: session, epoch: 2, members: []*Member{{epoch: 2}, {epoch: 2}}}, recovery.StageConsumeReady, 0},
		{"a consumer was refused", &Connection{conn: conn, session: session, epoch: 2, members: []*Member{{epoch: 2}, {failures: []recovery.Failure{{Entity: "c", Err: failed}}}}}, recovery.StagePublishReady, 1},
		{"an entity was refused", &Connection{conn: conn, session: session, epoch: 1, quarantine: refused}, recovery.StageConsumeReady, 1},
		{"closed", &Connection{conn: conn, session: session, closed: true}, recovery.StageClosed, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, m := range test.c.members {
				test.c.countLocked(m, 1)
			}
			s := test.c.snapshot()
			if s.Stage != test.want || len(s.Degraded) != test.degraded {
				t.Errorf("%v, %v; want %v and %d", s.Stage, s.Degraded, test.want, test.degraded)
			}
			if s.Ready() != (s.Stage == recovery.StageConsumeReady && test.degraded == 0) {
				t.Errorf("ready: %t", s.Ready())
			}
		})
	}
}

// TestCountsOfMembersAgreeWithMembers does what may happen to members, in many orders.
func TestCountsOfMembersAgreeWithMembers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := New(Config{})
	for range 2000 {
		switch k := random.IntN(10); {
		case k == 0:
			c.Join("new", nil)
		case k == 1:
			c.epoch++
			c.behind = len(c.members) // as when a connection is opened
		case len(c.members) > 0:
			m := c.members[random.IntN(len(c.members))]
			switch k {
			case 2:
				m.Leave()
				m.Leave()
				m.Failed(errors.New("too late"))
			case 3, 4, 5:
				m.Failed(errors.New("refused"))
			default:
				m.set(c.epoch-uint64(random.IntN(2)), nil)
			}
		}
		behind, failed := 0, 0
		for _, m := range c.members {
			if m.epoch != c.epoch {
				behind++
			}
			failed += len(m.failures)
		}
		if behind != c.behind || failed != c.failed {
			t.Fatalf("%d behind, %d failed; counted %d and %d", behind, failed, c.behind, c.failed)
		}
	}
}

func TestReadinessComesInStages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		hold := make(chan struct{})
		a.On(func(_ *sessiontest.Peer, _ uint16, m wire.Method) bool {
			if _, ok := m.(*wire.QueueBind); ok {
				<-hold
			}
			return false
		})
		c, j := start(t, Config{Recorder: sessiontest.Recorded(t, topology.Queue{Name: "q"})}, a.Endpoint())
		var stages []string
		at := func(want recovery.Stage) {
			t.Helper()
			synctest.Wait()
			if got := c.State().Stage; got != want {
				t.Errorf("stage %v; want %v", got, want)
			}
		}
		m := c.Join("consumer", nil)
		at(recovery.StageConnecting)
		go func() { _ = c.Connect(t.Context()) }()
		at(recovery.StageConnected)
		close(hold)
		at(recovery.StagePublishReady)
		m.Failed(core.ErrNotFound)
		at(recovery.StagePublishReady)
		if d := c.State().Degraded; len(d) != 1 || d[0].Entity != "consumer" || !errors.Is(d[0], core.ErrNotFound) {
			t.Errorf("degraded: %v", d)
		}
		m.Restored(awaitEpoch(t, c, 1))
		at(recovery.StageConsumeReady)
		a.Drop()
		awaitEpoch(t, c, 2)
		at(recovery.StagePublishReady) // the consumer has no consume-ok on this connection
		m.Leave()
		at(recovery.StageConsumeReady)
		for _, e := range j.Of(recovery.EventStageChanged) {
			stages = append(stages, e.State.Stage.String())
		}
		want := "[connected publish-ready publish-ready consume-ready connecting connected publish-ready consume-ready]"
		if fmt.Sprint(stages) != want {
			t.Errorf("events %v; want %s", stages, want)
		}
	})
}

func TestTheGateHoldsTheSessionBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessiontest.NewServer(t, &memnet.Network{}, "a:1"), sessiontest.NewServer(t, &memnet.Network{}, "b:1")
		main, _ := start(t, Config{}, a.Endpoint())
		publish, _ := start(t, Config{Gate: func(ctx context.Context) error {
			return main.Await(ctx, func(s recovery.State) bool { return s.Stage.Reached(recovery.StagePublishReady) })
		}}, b.Endpoint())
		go func() { _ = publish.Connect(t.Context()) }()
		synctest.Wait()
		if s := publish.State().Stage; s != recovery.StageConnected {
			t.Errorf("stage %v; want %v", s, recovery.StageConnected)
		}
		b.Drop() // while it waits
		synctest.Wait()
		if err := main.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaitEpoch(t, publish, 2)
	})
}

// Whoever waits at a gate that will never open does not connect for ever.
func TestAGateThatWillNotOpenGivesTheConnectionUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		a, b := sessiontest.NewServer(t, n, "a:1"), sessiontest.NewServer(t, n, "b:1")
		main, _ := connected(t, Config{Config: recovery.Config{Recover: func(context.Context, error) bool { return false }}}, a.Endpoint())
		publish, j := connected(t, Config{Gate: func(ctx context.Context) error {
			return main.Await(ctx, func(s recovery.State) bool { return s.Stage.Reached(recovery.StagePublishReady) })
		}}, b.Endpoint())
		a.Drop()
		synctest.Wait()
		b.Drop()
		time.Sleep(time.Hour)
		synctest.Wait()
		s := publish.State()
		if s.Stage != recovery.StageClosed || !errors.Is(s.Cause, core.ErrLost) || len(j.Of(recovery.EventEnded)) != 1 {
			t.Errorf("state %+v, ended %v; want it given up with the other's cause", s, j.Of(recovery.EventEnded))
		}
	})
}
