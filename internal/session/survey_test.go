package session

import (
	"context"
	"fmt"
	"strings"
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

func TestOnlyWhatTheLossTookIsDeclared(t *testing.T) {
	tests := []struct {
		all  bool
		want string
	}{
		{false, "exchange.declare passive x, queue.declare passive kept, queue.declare mine, queue.bind mine x k"},
		{true, "exchange.declare x, queue.declare kept, queue.declare mine, queue.bind kept x k, queue.bind mine x k"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("ReplayAll=%t", test.all), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				r := sessiontest.Recorded(t, topology.Queue{Name: "kept"}, topology.Queue{Name: "mine", Exclusive: true})
				c, _ := connected(t, Config{Config: recovery.Config{ReplayAll: test.all}, Recorder: r}, a.Endpoint())
				a.Received()
				a.Drop()
				awaitEpoch(t, c, 2)
				if got := strings.Join(a.Received(), ", "); got != test.want {
					t.Errorf("sent %s; want %s", got, test.want)
				}
			})
		})
	}
}

func TestWhatWasRefusedBeforeTheLossIsDeclaredAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		refuse := func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			b, ok := m.(*wire.QueueBind)
			return ok && b.Queue == "two" && p.Refuse(channel, m, core.ErrAccessRefused, "ACCESS_REFUSED")
		}
		a.On(refuse)
		c, _ := connected(t, Config{Recorder: sessiontest.Recorded(t, sessiontest.Queues("one two")...)}, a.Endpoint())
		for epoch := range uint64(3) {
			if got := sessiontest.Entities(c.State().Degraded); got != `binding of queue "two" to "x" with key "k"` {
				t.Errorf("degraded: %s", got)
			}
			a.Drop()
			awaitEpoch(t, c, epoch+2)
		}
		a.On(nil)
		a.Received()
		a.Drop()
		awaitEpoch(t, c, 5)
		if got := strings.Join(a.Received(), ", "); !strings.Contains(got, "queue.bind two x k") || strings.Contains(got, "queue.bind one") {
			t.Errorf("sent %s", got)
		}
		if s := c.State(); !s.Ready() {
			t.Errorf("state %+v", s)
		}
	})
}

// What was refused is asked for again even if the next connection dies before anything could be planned.
func TestWhatWasRefusedIsNotForgottenWhenASurveyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			switch m := m.(type) {
			case *wire.QueueBind:
				return p.Number == 1 && m.Queue == "two" && p.Refuse(channel, m, core.ErrAccessRefused, "ACCESS_REFUSED")
			case *wire.QueueDeclare:
				if p.Number == 2 || p.Number == 3 { // lost in the survey
					p.NC.Reset()
					return true
				}
			}
			return false
		})
		c, _ := connected(t, Config{Recorder: sessiontest.Recorded(t, sessiontest.Queues("one two")...)}, a.Endpoint())
		a.Received()
		a.Drop()
		awaitEpoch(t, c, 4)
		if got := strings.Join(a.Received(), ", "); !strings.Contains(got, "queue.bind two x k") || strings.Contains(got, "queue.bind one") {
			t.Errorf("sent %s; want the refused binding again, and no other", got)
		}
		if s := c.State(); !s.Ready() {
			t.Errorf("state %+v", s)
		}
	})
}

// What the application skipped is left alone until the next connection, and asked for again then.
func TestWhatWasSkippedIsAskedForOnTheNextConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		a.On(refusing(func(m wire.Method) bool {
			b, ok := m.(*wire.QueueBind)
			return sessiontest.DeclaresQueue(m, "three") || ok && b.Queue == "two"
		}, core.ErrAccessRefused))
		c, _ := connected(t, Config{
			Config:   recovery.Config{Refused: func(context.Context, recovery.Refusal) recovery.Decision { return recovery.DecisionSkip }},
			Recorder: sessiontest.Recorded(t, sessiontest.Queues("one two three")...),
		}, a.Endpoint())
		time.Sleep(time.Hour)
		a.Received()
		a.On(nil)
		a.Drop()
		awaitEpoch(t, c, 2)
		got := strings.Join(a.Received(), ", ")
		for _, want := range []string{"queue.declare three", "queue.bind two x k"} {
			if !strings.Contains(got, want) {
				t.Errorf("sent %s; without %s", got, want)
			}
		}
		a.Drop()
		awaitEpoch(t, c, 3)
		if got := strings.Join(a.Received(), ", "); strings.Contains(got, "queue.bind") {
			t.Errorf("sent %s, though nothing was refused any more", got)
		}
	})
}
