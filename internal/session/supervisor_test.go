package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

func TestFirstRetryIsAtOnceOnAnotherEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		a, b := sessiontest.NewServer(t, n, "a:1"), sessiontest.NewServer(t, n, "b:1")
		c, j := connected(t, Config{}, a.Endpoint(), b.Endpoint())
		time.Sleep(time.Minute)
		lost := time.Now()
		a.Drop()
		awaitEpoch(t, c, 2)
		if got := fmt.Sprint(j.Dialled()); got != "[a:1 b:1]" || !time.Now().Equal(lost) {
			t.Errorf("dialled %s, back after %s; want [a:1 b:1] at once", got, time.Since(lost))
		}
		if r := j.Last(t, recovery.EventRecovered).Report; r.Attempts != 1 || r.Endpoint != "b:1" || r.Cause == nil {
			t.Errorf("report %+v", r)
		}
	})
}

func TestAnOutageIsRetriedWithFullJitterForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		a := sessiontest.NewServer(t, n, "a:1")
		c, j := connected(t, Config{}, a.Endpoint(), sessiontest.At(n, "b:1"))
		time.Sleep(time.Minute)
		a.Stop()
		time.Sleep(time.Hour)
		times := j.Times()[1:]
		if times[0] != times[1] {
			t.Errorf("the two endpoints were tried %s apart; want both at once", times[1].Sub(times[0]))
		}
		for i := 2; i < len(times); i++ {
			gap, limit := times[i].Sub(times[i-1]), min(30*time.Second, 500*time.Millisecond<<min(i-2, 10))
			if gap > limit {
				t.Errorf("wait %d is %s; want up to %s", i-1, gap, limit)
			}
		}
		if len(times) < 150 || len(times) > 400 { // 240 on average
			t.Errorf("%d attempts in an hour", len(times))
		}
		a.Listen(t)
		awaitEpoch(t, c, 2)
		if r := j.Last(t, recovery.EventRecovered).Report; r.Attempts < len(times) {
			t.Errorf("the report counts %d attempts of %d", r.Attempts, len(times)+1)
		}
	})
}

func TestAConnectionThatFlapsIsRetriedEverMoreSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		a := sessiontest.NewServer(t, n, "a:1")
		c, j := connected(t, Config{}, a.Endpoint())
		a.On(func(p *sessiontest.Peer, _ uint16, m wire.Method) bool { // accepted, and hung up
			if _, ok := m.(*wire.ConnectionOpen); ok {
				p.Answer(0, m)
				p.NC.Reset()
				return true
			}
			return false
		})
		a.Drop()
		time.Sleep(time.Hour)
		if got := len(j.Times()); got > 300 {
			t.Errorf("%d connections in an hour; want at most 300", got)
		}
		// Stable again: the next loss is retried at once.
		a.On(nil)
		time.Sleep(time.Minute)
		_ = awaitEpoch(t, c, 1)
		time.Sleep(2 * time.Minute)
		lost, before := time.Now(), c.State().Epoch
		a.Drop()
		awaitEpoch(t, c, before+1)
		if since := time.Since(lost); since != 0 {
			t.Errorf("after a stable uptime the retry came after %s; want at once", since)
		}
	})
}

func TestRefusedCredentialsAreNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		a, b := sessiontest.NewServer(t, n, "a:1"), sessiontest.NewServer(t, n, "b:1")
		c, j := connected(t, Config{}, a.Endpoint(), b.Endpoint())
		a.On(sessiontest.RefusePassword)
		b.On(sessiontest.RefusePassword)
		a.Drop()
		time.Sleep(time.Hour)
		if got := len(j.Times()); got > 120 {
			t.Errorf("%d logins in an hour; want at most one in 30 s", got)
		}
		for _, e := range j.Of(recovery.EventRetrying)[1:] {
			if !errors.Is(e.Err, core.ErrAuth) || e.Delay < 30*time.Second {
				t.Errorf("event %v after %s", e.Err, e.Delay)
			}
		}
		if err := c.State().Cause; !errors.Is(err, core.ErrAuth) {
			t.Errorf("the state says %v", err)
		}
		a.On(nil)
		b.On(nil)
		awaitEpoch(t, c, 2)
	})
}

func TestFreshCredentialsAreTriedAtOnceButOnlyOnce(t *testing.T) {
	for _, good := range []bool{true, false} {
		t.Run(fmt.Sprintf("good=%t", good), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &memnet.Network{}
				a := sessiontest.NewServer(t, n, "a:1")
				password, asked := "old", 0
				c, j := connected(t, Config{}, a.Login(func(_ context.Context, renew bool) (core.Credentials, error) {
					asked++
					if renew {
						password = "new"
					}
					return core.Credentials{Username: "u", Password: core.Secret(password)}, nil
				}))
				a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
					if s, ok := m.(*wire.ConnectionStartOk); ok && good && strings.HasSuffix(string(s.Response), "new") {
						return false
					}
					return sessiontest.RefusePassword(p, channel, m)
				})
				time.Sleep(time.Minute)
				before := asked
				lost := time.Now()
				a.Drop()
				synctest.Wait()
				if dials := j.Times()[1:]; len(dials) != 2 || dials[1] != lost {
					t.Errorf("dialled %d times at once; want twice", len(dials))
				}
				if asked != before+2 {
					t.Errorf("credentials were asked for %d times; want twice", asked-before)
				}
				if ready := c.State().Stage >= recovery.StagePublishReady; ready != good {
					t.Errorf("state %v", c.State().Stage)
				}
			})
		})
	}
}

func TestCredentialsAreAskedForOnceAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		asked := 0
		endpoint := a.Endpoint()
		endpoint.Credentials = func(context.Context, bool) (core.Credentials, error) {
			asked++
			return core.Credentials{Username: "u", Password: "p"}, nil
		}
		c, _ := connected(t, Config{}, endpoint)
		a.Drop()
		awaitEpoch(t, c, 2)
		if asked != 2 {
			t.Errorf("asked %d times for two connections", asked)
		}
	})
}

func TestInitialConnectHasItsOwnBudget(t *testing.T) {
	refusing := func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
		return sessiontest.RefusePassword(p, channel, m)
	}
	tests := []struct {
		name   string
		passes int
		script func(*sessiontest.Peer, uint16, wire.Method) bool // of b; nil: nobody listens
		want   int                                               // attempts
		err    error
	}{
		{"one pass over the endpoints", 0, nil, 2, syscall.ECONNREFUSED},
		{"more passes", 3, nil, 6, syscall.ECONNREFUSED},
		{"a wrong password ends it", 3, refusing, 2, core.ErrAuth},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &memnet.Network{}
				if test.script != nil {
					sessiontest.NewServer(t, n, "b:1").On(test.script)
				}
				c, j := start(t, Config{Config: recovery.Config{InitialPasses: test.passes}}, sessiontest.At(n, "a:1"), sessiontest.At(n, "b:1"))
				err := c.Connect(t.Context())
				if !errors.Is(err, test.err) || len(j.Times()) != test.want {
					t.Errorf("%v after %d attempts; want %v after %d", err, len(j.Times()), test.err, test.want)
				}
				<-c.Done()
				if s := c.State(); s.Stage != recovery.StageClosed || !errors.Is(s.Cause, test.err) {
					t.Errorf("state %v, %v", s.Stage, s.Cause)
				}
				if _, err := c.Session(t.Context()); !errors.Is(err, test.err) {
					t.Errorf("later: %v", err)
				}
			})
		})
	}
}

func TestInitialConnectMayTakeAsLongAsItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		c, _ := start(t, Config{Config: recovery.Config{InitialPasses: -1}}, sessiontest.At(n, "a:1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := c.Connect(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("connect: %v", err)
		}
		sessiontest.NewServer(t, n, "a:1")
		if err := c.Connect(t.Context()); err != nil {
			t.Error(err)
		}
		must(t, c.Close(t.Context())) // while the server is there
	})
}

func TestAnImpossibleConfigurationIsNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, j := start(t, Config{Config: recovery.Config{InitialPasses: -1}}, core.Config{Addr: "no port"})
		err := c.Connect(t.Context())
		if _, ok := errs.AsType[*core.ValidationError](err); !ok || len(j.Of(recovery.EventRetrying)) != 0 {
			t.Errorf("connect: %v after %d retries", err, len(j.Of(recovery.EventRetrying)))
		}
	})
}

func TestBudgetsAndPoliciesGiveUp(t *testing.T) {
	limited := func() backoff.BackOff { return backoff.WithMaxRetries(backoff.NewConstantBackOff(time.Second), 3) }
	tests := []struct {
		name string
		cfg  Config
		want int // attempts after the loss
	}{
		{"network attempts", Config{Config: recovery.Config{Network: recovery.Budget{Attempts: 5}}}, 5},
		{"policy", Config{Config: recovery.Config{Retry: limited}}, 4}, // at once, and three retries
		{"elapsed", Config{Config: recovery.Config{Network: recovery.Budget{Elapsed: 10 * time.Second}, Retry: func() backoff.BackOff { return backoff.NewConstantBackOff(4 * time.Second) }}}, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				c, j := connected(t, test.cfg, a.Endpoint())
				time.Sleep(time.Minute)
				a.Stop()
				<-c.Done()
				if got := len(j.Times()) - 1; got != test.want {
					t.Errorf("%d attempts; want %d", got, test.want)
				}
				if _, err := c.Session(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "gave up after") {
					t.Errorf("error %v", err)
				}
				synctest.Wait()
				if e := j.Last(t, recovery.EventEnded); !errors.Is(e.Err, syscall.ECONNREFUSED) {
					t.Errorf("ended with %v", e.Err)
				}
			})
		})
	}
}

func TestTheApplicationMayDecideNotToRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		var c *Connection
		c, _ = connected(t, Config{
			Config: recovery.Config{Recover: func(ctx context.Context, cause error) bool {
				if c.State().Stage != recovery.StageConnecting { // any API may be called
					t.Errorf("state %v", c.State().Stage)
				}
				return errors.Is(cause, syscall.ECONNRESET)
			}},
		}, a.Endpoint())
		a.Drop()
		awaitEpoch(t, c, 2)
		c.Reconnect(errors.ErrUnsupported)
		<-c.Done()
		if _, err := c.Session(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
	})
}

func TestReconnectDropsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, j := connected(t, Config{}, a.Endpoint())
		first := awaitEpoch(t, c, 1)
		hold := make(chan struct{})
		a.On(func(_ *sessiontest.Peer, _ uint16, m wire.Method) bool {
			if _, ok := m.(*wire.ConnectionOpen); ok {
				<-hold
			}
			return false
		})
		for range 100 { // single flight
			c.Reconnect(errors.ErrUnsupported)
		}
		close(hold)
		begun := time.Now()
		awaitEpoch(t, c, 2)
		if took := time.Since(begun); took != 0 { // though the last one did not last
			t.Errorf("it took %s", took)
		}
		time.Sleep(time.Minute)
		if c.State().Epoch != 2 || first.Conn.Err() == nil || !errors.Is(j.Last(t, recovery.EventRecovered).Report.Cause, errors.ErrUnsupported) {
			t.Errorf("epoch %d, report %v", c.State().Epoch, j.Last(t, recovery.EventRecovered).Report)
		}
	})
}

func TestReconnectCutsAWaitShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		a.On(sessiontest.RefusePassword)
		c, j := start(t, Config{Config: recovery.Config{InitialPasses: -1}}, a.Endpoint())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = c.Connect(ctx)
		a.On(nil)
		c.Reconnect(nil)
		synctest.Wait()
		if c.State().Epoch != 1 || len(j.Times()) != 2 {
			t.Errorf("epoch %d after %d attempts; want 1 after 2", c.State().Epoch, len(j.Times()))
		}
	})
}

// A mistake in what a resolver returns is its mistake of the moment: only the first connect ends over it.
func TestAnInvalidEndpointDuringAnOutageIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		list := []core.Config{a.Endpoint()}
		c := New(Config{Resolver: func(context.Context) ([]core.Config, error) { return list, nil }})
		must(t, c.Connect(t.Context()))
		list = []core.Config{{Addr: "no port"}, a.Endpoint()}
		a.Drop()
		awaitEpoch(t, c, 2)
		must(t, c.Close(t.Context()))
	})
}

func TestAPolicyThatAllowsNoAttemptNamesTheLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := connected(t, Config{Config: recovery.Config{Retry: func() backoff.BackOff { return &backoff.StopBackOff{} }}}, a.Endpoint())
		a.Drop() // too soon to be retried at once
		<-c.Done()
		if _, err := c.Session(t.Context()); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("error %v; want why the connection was lost", err)
		}
	})
}

func TestTheResolverIsAskedAtEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		a, b := sessiontest.NewServer(t, n, "a:1"), sessiontest.NewServer(t, n, "b:1")
		j := &sessiontest.Journal{}
		var moved atomic.Bool
		var calls atomic.Int64
		c := New(Config{Emit: j.Emit, Resolver: func(context.Context) ([]core.Config, error) {
			calls.Add(1)
			if moved.Load() {
				return j.Watched(b.Endpoint()), nil
			}
			return j.Watched(a.Endpoint()), nil
		}})
		must(t, c.Connect(t.Context()))
		a.Stop()
		time.Sleep(10 * time.Minute)
		if dials := int64(len(j.Times())); dials < 10 || calls.Load() != dials {
			t.Errorf("asked %d times for %d attempts", calls.Load(), dials)
		}
		moved.Store(true)
		awaitEpoch(t, c, 2)
		if dials := j.Dialled(); dials[len(dials)-1] != "b:1" || calls.Load() != int64(len(dials)) {
			t.Errorf("asked %d times for %d attempts, the last one to %s", calls.Load(), len(dials), dials[len(dials)-1])
		}
		must(t, c.Close(t.Context()))
	})
}

// A peer that breaks the protocol on one connection after another is asked rarely, and never given up.
func TestAPeerThatBreaksTheProtocolIsMetInTheSlowLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, j := connected(t, Config{}, a.Endpoint())
		a.On(func(p *sessiontest.Peer, _ uint16, m wire.Method) bool {
			if _, ok := m.(*wire.ConnectionOpen); ok {
				p.Answer(0, m)
				_, _ = p.NC.Write([]byte("HTTP/1.1 400 Bad Request"))
				return true
			}
			return false
		})
		a.Drop()
		time.Sleep(time.Hour)
		times := j.Times()
		for i := maxFaults + 2; i < len(times); i++ { // the first connection, and the one after its loss
			if gap := times[i].Sub(times[i-1]); gap < 30*time.Second {
				t.Errorf("attempt %d came after %s", i, gap)
			}
		}
		if e := j.Last(t, recovery.EventRetrying); !core.AsError(e.Err).Fault() || e.Delay < 30*time.Second {
			t.Errorf("event %v after %s", e.Err, e.Delay)
		}
		before := c.State().Epoch
		a.On(nil)
		awaitEpoch(t, c, before+1)
		time.Sleep(2 * time.Minute)
		lost := time.Now()
		a.Drop()
		awaitEpoch(t, c, c.State().Epoch+1)
		if late := time.Since(lost); late != 0 {
			t.Errorf("the loss of a sound connection is retried after %s", late)
		}
	})
}

// A secret that is rotated again and again is asked for at each refusal: one loss uses up nothing of the next.
func TestFreshCredentialsAreTriedAtOnceAfterEachLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		var rotation atomic.Int64
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			if s, ok := m.(*wire.ConnectionStartOk); ok && strings.HasSuffix(string(s.Response), fmt.Sprint("secret-", rotation.Load())) {
				return false
			}
			return sessiontest.RefusePassword(p, channel, m)
		})
		cached := rotation.Load()
		c, _ := connected(t, Config{}, a.Login(func(_ context.Context, renew bool) (core.Credentials, error) {
			if renew {
				cached = rotation.Load()
			}
			return core.Credentials{Username: "u", Password: core.Secret(fmt.Sprint("secret-", cached))}, nil
		}))
		for range 3 {
			time.Sleep(time.Minute)
			rotation.Add(1)
			a.Drop()
			synctest.Wait()
			if s := c.State(); s.Stage < recovery.StagePublishReady {
				t.Fatalf("after rotation %d: %+v", rotation.Load(), s)
			}
		}
	})
}
