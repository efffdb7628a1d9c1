package session

import (
	"context"
	"errors"
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

// Each state is reached in a bubble of its own, which also fails if a
// goroutine is left at its end.
func TestCloseEndsInEveryState(t *testing.T) {
	type fixture struct {
		a *sessiontest.Server
		c *Connection
		j *sessiontest.Journal
	}
	silentAt := func(f fixture, id wire.MethodID) {
		f.a.On(func(_ *sessiontest.Peer, _ uint16, m wire.Method) bool { return m != nil && m.ID() == id })
	}
	tests := []struct {
		name    string
		reach   func(t *testing.T, f fixture)
		took    time.Duration // with a context of a minute
		unclean bool          // the server does not confirm the end
	}{
		{"idle", func(*testing.T, fixture) {}, 0, false},
		{"mid-dial", func(t *testing.T, f fixture) {
			f.a.Listener.Hang(true)
			go func() { _ = f.c.Connect(t.Context()) }()
		}, 0, false},
		{"mid-handshake", func(t *testing.T, f fixture) {
			f.a.On(sessiontest.Silent)
			go func() { _ = f.c.Connect(t.Context()) }()
		}, 0, false},
		{"ready", func(t *testing.T, f fixture) { awaitEpoch(t, f.c, 1) }, 0, false},
		{"mid-RPC", func(t *testing.T, f fixture) {
			ch, err := awaitEpoch(t, f.c, 1).Conn.Channel(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			silentAt(f, wire.MethodQueuePurge)
			go func() {
				if _, err := ch.QueuePurge(context.Background(), core.QueuePurge{Queue: "q"}); !errors.Is(err, core.ErrClosed) {
					t.Errorf("the call ended with %v", err)
				}
			}()
		}, 0, false},
		{"mid-replay", func(t *testing.T, f fixture) {
			silentAt(f, wire.MethodQueueBind)
			go func() { _ = f.c.Connect(t.Context()) }()
		}, 0, false},
		{"mid-replay of a silent server", func(t *testing.T, f fixture) {
			f.a.On(func(p *sessiontest.Peer, _ uint16, m wire.Method) bool {
				return p.Open && m.ID().Class() != wire.ClassChannel
			})
			go func() { _ = f.c.Connect(t.Context()) }()
		}, 5 * time.Second, true}, // of core.Config.CloseTimeout
		{"mid-gate", func(t *testing.T, f fixture) {
			f.c.cfg.Gate = func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
			go func() { _ = f.c.Connect(t.Context()) }()
		}, 0, false},
		{"mid-backoff", func(t *testing.T, f fixture) {
			awaitEpoch(t, f.c, 1)
			f.a.On(sessiontest.RefusePassword)
			f.a.Drop()
			time.Sleep(10 * time.Second)
			f.j.Last(t, recovery.EventRetrying)
		}, 0, false},
		{"mid-resolve", func(t *testing.T, f fixture) {
			f.c.cfg.Resolver = func(ctx context.Context) ([]core.Config, error) { <-ctx.Done(); return nil, context.Cause(ctx) }
			go func() { _ = f.c.Connect(t.Context()) }()
		}, 0, false},
		{"given up", func(t *testing.T, f fixture) {
			f.a.Stop()
			_ = f.c.Connect(t.Context())
		}, 0, false},
		{"closed", func(t *testing.T, f fixture) {
			awaitEpoch(t, f.c, 1)
			_ = f.c.Close(t.Context())
		}, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				c, j := start(t, Config{Recorder: sessiontest.Recorded(t, topology.Queue{Name: "q"})}, a.Endpoint())
				test.reach(t, fixture{a, c, j})
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				begun := time.Now()
				if err := c.Close(ctx); (err != nil) != test.unclean {
					t.Errorf("close: %v", err)
				}
				if took := time.Since(begun); took < test.took || took > test.took+test.took/5 {
					t.Errorf("close took %s; want about %s", took, test.took)
				}
				if s := c.State(); s.Stage != recovery.StageClosed || s.Cause == nil {
					t.Errorf("state %v, %v", s.Stage, s.Cause)
				}
				if _, err := c.Session(t.Context()); err == nil {
					t.Error("a session after close")
				}
				dials := len(j.Times())
				time.Sleep(time.Hour)
				if again := len(j.Times()); again != dials {
					t.Errorf("dialled %d times after close", again-dials)
				}
			})
		})
	}
}

func TestCloseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := connected(t, Config{}, a.Endpoint())
		a.On(sessiontest.Silent)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begun := time.Now()
		if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		if took := time.Since(begun); took > 100*time.Millisecond {
			t.Errorf("close took %s", took)
		}
	})
}

func TestWaitersEndWithTheConnectionAndTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		c, _ := start(t, Config{Config: recovery.Config{InitialPasses: -1}}, sessiontest.At(n, "a:1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Session(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("session: %v", err)
		}
		if err := c.Await(ctx, recovery.State.Ready); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("await: %v", err)
		}
		for range 3 {
			go func() {
				if _, err := c.Session(context.Background()); !errors.Is(err, core.ErrClosed) {
					t.Errorf("session: %v", err)
				}
				if err := c.Await(context.Background(), recovery.State.Ready); !errors.Is(err, core.ErrClosed) {
					t.Errorf("await: %v", err)
				}
			}()
		}
		synctest.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Close marks the connection before it ends its context: nothing is begun in between.
func TestNothingIsDialledWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, j := connected(t, Config{}, a.Endpoint())
		c.mu.Lock()
		c.closed, c.err = true, core.ErrClosed // as Close does
		c.mu.Unlock()
		a.Drop() // and the physical connection ends
		synctest.Wait()
		time.Sleep(time.Minute)
		c.stop(core.ErrClosed)
		synctest.Wait()
		if n := len(j.Times()); n != 1 {
			t.Errorf("dialled %d times; want once", n)
		}
	})
}
