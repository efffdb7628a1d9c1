package session

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/hook"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/recovery"
)

// Config is what a [Connection] is made of. A field's zero value means its
// default; Resolver has none.
type Config struct {
	recovery.Config // how it is kept alive

	Name     string // told apart in logs and events: "main", "publish"
	Resolver recovery.Resolver
	// Recorder is what is replayed on every new connection; nil: nothing.
	Recorder *record.Recorder
	// Gate, if set, must return nil before a session is announced. With another
	// error than the end of its context, which ends with the physical
	// connection, the logical one is given up.
	Gate func(context.Context) error

	Log *zap.Logger // default: none
	// Emit receives every event, one at a time and in order, without a lock of the
	// connection: it may ask for its State and Health. It must not block. Default: none.
	Emit func(recovery.Event)
}

// Validate returns a [*core.ValidationError] that names what cannot be meant.
func (c Config) Validate() error {
	if c.Resolver == nil {
		return &core.ValidationError{Method: "recovery", Err: errors.New("no resolver")}
	}
	return c.Config.Validate()
}

func (c Config) withDefaults() Config {
	if c.Retry == nil {
		c.Retry = recovery.DefaultRetry
	}
	if c.StableAfter == 0 {
		c.StableAfter = time.Minute
	}
	if c.SlowRetry == 0 {
		c.SlowRetry = 30 * time.Second
	}
	if c.InitialPasses == 0 {
		c.InitialPasses = 1
	}
	if c.ReplayTimeout == 0 {
		c.ReplayTimeout = time.Minute
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Emit == nil {
		c.Emit = func(recovery.Event) {}
	}
	return c
}

// tell logs an event of the connection and hands it on. The logger's core is the
// application's, and one that ends its goroutine must not end what has the event to tell.
func (c *Config) tell(e recovery.Event) {
	e.Connection = c.Name
	if c.Log.Core() != unlogged {
		_ = hook.Do(func() { logEvent(c.Log, e) }) // it has had its line
	}
	c.Emit(e)
}

var unlogged = zap.NewNop().Core()
