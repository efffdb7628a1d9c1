package session

import (
	"errors"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

// TestEmitMayAskTheConnection: what receives the events may ask for the state, and close, at each of them.
func TestEmitMayAskTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		var c *Connection
		var told []recovery.EventKind
		log, logs := observer.New(zap.DebugLevel)
		c = New(Config{Resolver: recovery.Endpoints(a.Endpoint()), Recorder: sessiontest.Recorded(t, sessiontest.Queues("q")...), Log: zap.New(log), Emit: func(e recovery.Event) {
			told = append(told, e.Kind)
			if s := c.State(); e.Kind == recovery.EventStageChanged && s.Stage < e.State.Stage {
				t.Errorf("told %v, and the state is %v", e.State, s)
			}
			_ = c.Health()
			if e.Kind == recovery.EventLost {
				go func() { _ = c.Close(t.Context()) }()
			}
		}})
		must(t, c.Connect(t.Context()))
		m := c.Join("consumer", nil)
		m.Leave()
		c.Reconnect(errors.ErrUnsupported)
		<-c.Done()
		must(t, c.Close(t.Context()))
		synctest.Wait()
		if told[len(told)-1] != recovery.EventEnded {
			t.Errorf("told %v", told)
		}
		stages := logs.FilterMessage(recovery.EventStageChanged.String()).FilterFieldKey("stage").All()
		if len(stages) < 4 || stages[0].Level != zap.DebugLevel {
			t.Errorf("%d changes of stage are logged", len(stages))
		}
	})
}

func TestEventsKeepTheirOrder(t *testing.T) {
	var told []int
	a := announcer{}
	a.tell = func(e recovery.Event) {
		if told = append(told, e.Count); e.Count == 1 { // what is said while another event is being told comes behind it
			a.Lock()
			a.sayLocked(recovery.Event{Count: 3})
			a.Unlock()
		}
	}
	a.Lock()
	a.sayLocked(recovery.Event{Count: 1})
	a.sayLocked(recovery.Event{Count: 2})
	a.Unlock()
	for i, n := range told {
		if n != i+1 {
			t.Fatalf("told %v", told)
		}
	}
	if len(told) != 3 {
		t.Errorf("told %v", told)
	}
}

func TestAConnectionWithoutAResolverIsRefused(t *testing.T) {
	c := New(Config{})
	if _, ok := errs.AsType[*core.ValidationError](c.Connect(t.Context())); !ok {
		t.Errorf("%v", c.Connect(t.Context()))
	}
	must(t, c.Close(t.Context()))
}
