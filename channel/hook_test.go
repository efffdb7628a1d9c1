package channel

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/hook"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// Whichever function of the application ends its goroutine, as FailNow does: the connection comes back.
func TestAFunctionThatExitsDoesNotEndTheConnection(t *testing.T) {
	for name, set := range map[string]func(cfg *session.Config, endpoint *core.Config, left *exiting){
		"policy": func(cfg *session.Config, _ *core.Config, left *exiting) {
			cfg.Retry = func() backoff.BackOff { left.maybe(); return recovery.DefaultRetry() }
		},
		"wait": func(cfg *session.Config, _ *core.Config, left *exiting) {
			cfg.Retry = func() backoff.BackOff { return exitingPolicy{recovery.DefaultRetry(), left} }
		},
		"log": func(cfg *session.Config, _ *core.Config, left *exiting) {
			cfg.Log = zap.New(exitingCore{zapcore.NewNopCore(), left})
		},
		"recover": func(cfg *session.Config, _ *core.Config, left *exiting) {
			cfg.Recover = func(context.Context, error) bool { left.maybe(); return true }
		},
		"credentials": func(_ *session.Config, endpoint *core.Config, left *exiting) {
			endpoint.Credentials = func(context.Context, bool) (core.Credentials, error) {
				left.maybe()
				return core.Credentials{Username: "guest", Password: "guest"}, nil
			}
		},
		"dial": func(_ *session.Config, endpoint *core.Config, left *exiting) {
			dial := endpoint.DialContext
			endpoint.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				left.maybe()
				return dial(ctx, network, addr)
			}
		},
		"blocked": func(_ *session.Config, endpoint *core.Config, left *exiting) {
			endpoint.OnBlocked = func(string, bool) { left.maybe() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, left := session.Config{Config: recovery.Config{InitialPasses: -1}}, new(exiting)
				if name == "policy" {
					left.left.Store(1) // it is asked once, before the first attempt
				}
				b := newBedAt(t, func() session.Config { set(&cfg, &core.Config{}, left); return cfg }(), func(endpoint *core.Config) {
					var unused session.Config
					set(&unused, endpoint, left)
				})
				left.left.Store(1)
				b.Block("low on memory")
				must(t, b.channel(t).Publish(t.Context(), &core.Publishing{RoutingKey: "q"}))
				synctest.Wait()
				b.Unblock()
				b.Stop()
				time.Sleep(time.Second)
				b.Start()
				b.ready(t)
				if n := left.left.Load(); n > 0 && name != "policy" {
					t.Errorf("it did not exit %d times", n)
				}
			})
		})
	}
}

func TestAGateThatExitsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBedAt(t, session.Config{}, func(*core.Config) {})
		c, j := start(t, session.Config{Gate: func(context.Context) error { runtime.Goexit(); return nil }},
			core.Config{Addr: "broker:5672", DialContext: b.DialContext})
		err := c.Connect(t.Context())
		synctest.Wait() // events are told after the state has changed
		if !errors.Is(err, hook.ErrExited) || !errors.Is(j.Last(t, recovery.EventEnded).Err, hook.ErrExited) {
			t.Errorf("connect: %v", err)
		}
	})
}

// A condition that ends its goroutine leaves no lock behind.
func TestAConditionThatExitsHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = b.conn.Await(t.Context(), func(recovery.State) bool { runtime.Goexit(); return true })
		}()
		<-done
		b.ready(t)
	})
}

// A listener of returned messages runs on the reader: its connection is lost, and says why.
func TestAReturnListenerThatExitsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		var left exiting
		left.left.Store(1)
		ch.OnReturn(func(*core.Return) { left.maybe() })
		must(t, ch.Publish(t.Context(), &core.Publishing{RoutingKey: "nowhere", Mandatory: true}))
		synctest.Wait()
		if err := b.journal.Last(t, recovery.EventLost).Err; err == nil {
			t.Error("no cause")
		}
		b.ready(t)
	})
}

// exiting ends the goroutine at its first calls.
type exiting struct{ left atomic.Int64 }

func (n *exiting) maybe() {
	if n.left.Add(-1) >= 0 {
		runtime.Goexit()
	}
}

type exitingPolicy struct {
	backoff.BackOff
	left *exiting
}

func (p exitingPolicy) NextBackOff() time.Duration { p.left.maybe(); return p.BackOff.NextBackOff() }

func (p exitingPolicy) Reset() { p.left.maybe(); p.BackOff.Reset() }

// exitingCore is a log's core that ends the goroutine instead of writing.
type exitingCore struct {
	zapcore.Core
	left *exiting
}

func (c exitingCore) Enabled(zapcore.Level) bool        { return true }
func (c exitingCore) With([]zapcore.Field) zapcore.Core { return c }
func (c exitingCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return ce.AddCore(e, c)
}
func (c exitingCore) Write(zapcore.Entry, []zapcore.Field) error { c.left.maybe(); return nil }
