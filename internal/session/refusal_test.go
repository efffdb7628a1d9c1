package session

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
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

func TestARefusedEntityIsIsolatedAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			switch {
			case sessiontest.DeclaresQueue(m, "bad"):
				return p.Refuse(channel, m, core.ErrPreconditionFailed, "PRECONDITION_FAILED - inequivalent arg 'durable'")
			case strings.HasPrefix(sessiontest.DescribeMethod(methodOr(m)), "queue.bind bad"):
				return p.Refuse(channel, m, core.ErrNotFound, "NOT_FOUND - no queue 'bad'")
			}
			return false
		})
		c, j := connected(t, Config{Recorder: sessiontest.Recorded(t, sessiontest.Queues("one bad two")...)}, a.Endpoint())
		got := fmt.Sprint(a.Received())
		for _, want := range []string{"queue.declare one", "queue.declare two", "queue.bind one x k", "queue.bind two x k"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is missing in %s", want, got)
			}
		}
		s := c.State()
		if s.Stage != recovery.StageConsumeReady || s.Ready() || sessiontest.Entities(s.Degraded) != `queue "bad", binding of queue "bad" to "x" with key "k"` {
			t.Errorf("state %+v", s)
		}
		if n := len(j.Of(recovery.EventQuarantined)); n != 2 {
			t.Errorf("%d events", n)
		}
		time.Sleep(10 * time.Minute)
		if n := a.Count("queue.declare bad"); n < 15 || n > 30 {
			t.Errorf("tried %d times in ten minutes", n)
		}
		a.On(nil)
		must(t, c.Await(t.Context(), recovery.State.Ready))
		synctest.Wait() // events follow the state
		if got := fmt.Sprint(len(j.Of(recovery.EventRestored)), c.State().Epoch); got != "2 1" {
			t.Errorf("restored and epoch: %s; want 2 1", got)
		}
	})
}

func methodOr(m wire.Method) wire.Method {
	if m == nil {
		return &wire.ChannelFlow{}
	}
	return m
}

func TestAnOwnExclusiveQueueIsRetriedUntilTheOldConnectionIsReaped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := connected(t, Config{Recorder: sessiontest.Recorded(t, topology.Queue{Name: "mine", Exclusive: true})}, a.Endpoint())
		reaped := time.Now().Add(20 * time.Second)
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			return sessiontest.DeclaresQueue(m, "mine") && time.Now().Before(reaped) &&
				p.Refuse(channel, m, core.ErrResourceLocked, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'mine'")
		})
		a.Drop()
		awaitEpoch(t, c, 2)
		must(t, c.Await(t.Context(), recovery.State.Ready))
		if late := time.Since(reaped); late < 0 || late > lastLocked {
			t.Errorf("ready %s after the queue was free", late)
		}
	})
}

func TestTheApplicationDecidesAboutRefusedEntities(t *testing.T) {
	tests := []struct {
		decision recovery.Decision
		state    string
		report   func(*recovery.Report) string
		want     string
	}{
		{recovery.DecisionAdopt, "", func(r *recovery.Report) string { return fmt.Sprint(r.Adopted) }, `[queue "bad"]`},
		{recovery.DecisionSkip, "", func(r *recovery.Report) string { return sessiontest.Entities(r.Skipped) }, `queue "bad"`},
		{recovery.DecisionRetry, `queue "bad"`, func(r *recovery.Report) string { return sessiontest.Entities(r.Failed) }, `queue "bad"`},
	}
	for _, test := range tests {
		t.Run(test.decision.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				var c *Connection
				var asked []recovery.Refusal
				c, j := connected(t, Config{
					Config: recovery.Config{Refused: func(ctx context.Context, r recovery.Refusal) recovery.Decision {
						asked = append(asked, r)
						c.State() // any API may be called
						if s, err := c.Session(ctx); len(asked) == 1 && (err == nil || ctx.Err() == nil) {
							t.Errorf("there should be no session yet: %v, %v", s, err)
						}
						return test.decision
					}, ReplayTimeout: 10 * time.Second},
					Recorder: sessiontest.Recorded(t, sessiontest.Queues("one bad")...),
				}, a.Endpoint())
				a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
					d, ok := m.(*wire.QueueDeclare)
					if ok && d.Queue == "bad" && d.Passive && len(asked) == 0 {
						return p.Refuse(channel, m, core.ErrNotFound, "NOT_FOUND")
					}
					return sessiontest.DeclaresQueue(m, "bad") && p.Refuse(channel, m, core.ErrPreconditionFailed, "inequivalent arg")
				})
				a.Drop()
				awaitEpoch(t, c, 2)
				if len(asked) == 0 || asked[0].Reason != recovery.ReasonDifferent || asked[0].Attempts != 1 || asked[0].Entity.String() != `queue "bad"` {
					t.Errorf("asked about %+v", asked)
				}
				r := j.Last(t, recovery.EventRecovered).Report
				if got := test.report(r); got != test.want {
					t.Errorf("reported %s; want %s", got, test.want)
				}
				if got := sessiontest.Entities(c.State().Degraded); got != test.state {
					t.Errorf("degraded: %s; want %s", got, test.state)
				}
			})
		})
	}
}

func TestTheApplicationMayFailTheConnectionOverAnEntity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			return sessiontest.DeclaresQueue(m, "bad") && p.Refuse(channel, m, core.ErrAccessRefused, "ACCESS_REFUSED")
		})
		c, j := start(t, Config{
			Config:   recovery.Config{Refused: func(context.Context, recovery.Refusal) recovery.Decision { return recovery.DecisionFail }},
			Recorder: sessiontest.Recorded(t, sessiontest.Queues("bad")...),
		}, a.Endpoint())
		err := c.Connect(t.Context())
		if !errors.Is(err, core.ErrAccessRefused) || !strings.Contains(err.Error(), `queue "bad"`) {
			t.Errorf("connect: %v", err)
		}
		time.Sleep(time.Hour)
		if len(j.Times()) != 1 {
			t.Errorf("dialled %d times", len(j.Times()))
		}
	})
}

func TestAnEntityThatClosesTheConnectionIsFoundAndTheClientStaysUp(t *testing.T) {
	for _, n := range []int{1, 3, 100} {
		t.Run(fmt.Sprintf("among %d", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				var all []topology.Queue
				for i := range n {
					all = append(all, topology.Queue{Name: fmt.Sprintf("q%d", i), Exclusive: true})
				}
				bad := all[n/2].Name
				c, j := connected(t, Config{Recorder: sessiontest.Recorded(t, all...)}, a.Endpoint())
				a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
					switch {
					case sessiontest.DeclaresQueue(m, bad):
						return p.Kill(m, core.ErrInternal, "INTERNAL_ERROR - feature `transient_nonexcl_queues` is deprecated")
					case strings.HasPrefix(sessiontest.DescribeMethod(methodOr(m)), "queue.bind "+bad+" "):
						return p.Refuse(channel, m, core.ErrNotFound, "NOT_FOUND")
					}
					return false
				})
				a.Drop()
				s := awaitEpoch(t, c, 2)
				synctest.Wait()
				state := c.State()
				if state.Stage != recovery.StageConsumeReady || !strings.HasPrefix(sessiontest.Entities(state.Degraded), fmt.Sprintf("queue %q, binding", bad)) {
					t.Errorf("state %+v", state)
				}
				if want := uint64(4); s.Epoch > want {
					t.Errorf("%d connections were needed", s.Epoch-1)
				}
				if e := j.Of(recovery.EventQuarantined)[0]; !strings.Contains(e.Err.Error(), "deprecated") {
					t.Errorf("event %v", e.Err)
				}
				// It is tried again, on a connection of its own, and hurts nobody.
				before, up := len(j.Times()), c.State().Epoch
				time.Sleep(2 * time.Hour)
				if trials := len(j.Times()) - before; trials < 5 || trials > 8 || c.State().Epoch != up {
					t.Errorf("%d trials in two hours, epoch %d; want 6 and %d", trials, c.State().Epoch, up)
				}
				// Another loss does not try it again.
				a.Drop()
				awaitEpoch(t, c, up+1)
				if got := sessiontest.Entities(c.State().Degraded); !strings.HasPrefix(got, fmt.Sprintf("queue %q", bad)) {
					t.Errorf("degraded: %s", got)
				}
				a.On(nil)
				must(t, c.Await(t.Context(), recovery.State.Ready))
				if c.State().Epoch != up+1 {
					t.Errorf("epoch %d; want %d", c.State().Epoch, up+1)
				}
			})
		})
	}
}

func TestSeveralEntitiesThatCloseTheConnectionAreFoundOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := connected(t, Config{Recorder: sessiontest.Recorded(t, sessiontest.Queues("a b c d e f g h")...)}, a.Endpoint())
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			d, ok := m.(*wire.QueueDeclare)
			if ok && d.Passive {
				return p.Refuse(channel, m, core.ErrNotFound, "NOT_FOUND") // a new disk
			}
			return (sessiontest.DeclaresQueue(m, "b") || sessiontest.DeclaresQueue(m, "g")) && p.Kill(m, core.ErrNotImplemented, "NOT_IMPLEMENTED")
		})
		a.Drop()
		s := awaitEpoch(t, c, 2)
		if got := sessiontest.Entities(c.State().Degraded); got != `queue "b", queue "g"` {
			t.Errorf("degraded: %s", got)
		}
		if s.Epoch > 5 {
			t.Errorf("%d connections were needed", s.Epoch-1)
		}
	})
}

// What can be looked for without declaring it is adopted as it is.
func TestWhatCanBeAdopted(t *testing.T) {
	x := topology.Exchange{Name: "x", Type: "topic", Arguments: topology.Table{"a": int32(1)}}
	q, own := topology.Queue{Name: "q", Arguments: topology.Table{"a": int32(1)}}, topology.Queue{Exclusive: true}
	b := topology.Binding{Source: "x", Destination: "q"}
	for _, tt := range []struct {
		step record.Step
		want core.Method // nil: none
	}{
		{record.Step{Entity: x, Method: x.Declare()}, &core.ExchangeDeclare{Exchange: "x", Passive: true}},
		{record.Step{Entity: q, Method: q.Declare()}, &core.QueueDeclare{Queue: "q", Passive: true}},
		{record.Step{Entity: own, Method: own.Declare()}, nil},
		{record.Step{Entity: b, Method: b.Bind()}, nil},
	} {
		look, ok := passive(tt.step)
		if ok != (tt.want != nil) || ok && !reflect.DeepEqual(look.Method, tt.want) {
			t.Errorf("%s: %+v, %t; want %+v", tt.step.Entity, look.Method, ok, tt.want)
		}
	}
}
