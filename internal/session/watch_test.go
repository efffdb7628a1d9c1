package session

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

// What is refused again and again in the background leaves nothing behind.
func TestRetriesDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			return sessiontest.DeclaresQueue(m, "two") && p.Refuse(channel, m, core.ErrResourceLocked, "RESOURCE_LOCKED")
		})
		c := New(Config{Resolver: recovery.Endpoints(a.Endpoint()), Recorder: sessiontest.Recorded(t, sessiontest.Queues("one two")...)})
		s := newSupervision(c)
		conn, err := s.connect()
		must(t, err)
		must(t, s.restore(conn))
		for range 100 {
			time.Sleep(lastLocked)
			must(t, s.chores(conn, time.Now()))
		}
		if n := len(s.report.Failed); n > 2 {
			t.Errorf("%d failures are kept after 100 retries", n)
		}
		s.c.retire(conn, core.ErrClosed)
		c.stop(core.ErrClosed)
	})
}

// A decision made at a later refusal, in the background, is carried out like one made at the first.
func TestTheApplicationMayDecideOtherwiseLater(t *testing.T) {
	for _, decision := range []recovery.Decision{recovery.DecisionAdopt, recovery.DecisionSkip, recovery.DecisionFail} {
		t.Run(decision.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
					d, ok := m.(*wire.QueueDeclare)
					return ok && d.Queue == "bad" && !d.Passive && p.Refuse(channel, m, core.ErrPreconditionFailed, "inequivalent arg")
				})
				c, j := start(t, Config{
					Config: recovery.Config{Refused: func(_ context.Context, r recovery.Refusal) recovery.Decision {
						if r.Attempts < 3 {
							return recovery.DecisionRetry
						}
						return decision
					}},
					Recorder: sessiontest.Recorded(t, sessiontest.Queues("one bad")...),
				}, a.Endpoint())
				must(t, c.Connect(t.Context()))
				if got := sessiontest.Entities(c.State().Degraded); got != `queue "bad"` {
					t.Fatalf("degraded: %s", got)
				}
				time.Sleep(time.Hour)
				_, err := c.Session(t.Context())
				if decision == recovery.DecisionFail {
					if !errors.Is(err, core.ErrPreconditionFailed) || len(j.Times()) != 1 {
						t.Errorf("%v after %d connections, want the refusal after one", err, len(j.Times()))
					}
					return
				}
				if s := c.State(); err != nil || !s.Ready() || s.Epoch != 1 {
					t.Errorf("%v, %+v", err, s)
				}
				if n := a.Count("queue.declare bad"); n != 3 {
					t.Errorf("tried %d times, want 3", n)
				}
			})
		})
	}
}

// What is done for a connection in the background leaves no goroutine behind.
func TestChoresLeaveNothingRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		_, j := connected(t, Config{}, a.Login(func(context.Context, bool) (core.Credentials, error) {
			return core.Credentials{Username: "u", Expires: time.Now().Add(time.Minute)}, nil
		}))
		synctest.Wait()
		before := runtime.NumGoroutine()
		for len(j.Of(recovery.EventSecretRenewed)) < 100 {
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if n := runtime.NumGoroutine(); n > before+10 {
			t.Errorf("%d goroutines after 100 renewals, %d before", n, before)
		}
	})
}

// What is tried again in the background renews no credentials before it is time.
func TestRetriesRenewNoCredentials(t *testing.T) {
	for name, life := range map[string]time.Duration{"that last": 0, "that last a day": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
					return sessiontest.DeclaresQueue(m, "two") && p.Refuse(channel, m, core.ErrResourceLocked, "RESOURCE_LOCKED")
				})
				asked := 0
				_, j := connected(t, Config{
					Recorder: sessiontest.Recorded(t, sessiontest.Queues("one two")...),
				}, a.Login(func(context.Context, bool) (core.Credentials, error) {
					asked++
					g := core.Credentials{Username: "u"}
					if life > 0 {
						g.Expires = time.Now().Add(life)
					}
					return g, nil
				}))
				time.Sleep(time.Hour)
				if n := len(j.Of(recovery.EventQuarantined)); asked != 1 || len(j.Of(recovery.EventSecretRenewed)) > 0 || n < 100 {
					t.Errorf("asked %d times for credentials, renewed %d times, during %d retries", asked, len(j.Of(recovery.EventSecretRenewed)), n)
				}
			})
		})
	}
}
