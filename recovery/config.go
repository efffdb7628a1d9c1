package recovery

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.uber.org/zap"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
)

// Resolver returns the endpoints to try, in order of preference. It is called
// at each attempt, so that names, credentials and certificates are read anew.
type Resolver func(context.Context) ([]core.Config, error)

// Endpoints is a resolver of a fixed list.
func Endpoints(list ...core.Config) Resolver {
	return func(context.Context) ([]core.Config, error) { return list, nil }
}

// Config says how a [Connection] is kept alive. A field's zero value means
// its default; Resolver has none.
type Config struct {
	Name     string // told apart in logs and events: "main", "publish"
	Resolver Resolver

	// Retry returns the waits between attempts, one policy for the life of the
	// connection; it is reset after an uptime of StableAfter. The first attempt
	// on each endpoint after a loss is made at once. When it returns
	// backoff.Stop the connection is given up. Default: [DefaultRetry].
	Retry func() backoff.BackOff
	// StableAfter is the uptime that resets Retry, so that a connection that
	// flaps is retried ever more slowly. Default one minute.
	StableAfter time.Duration
	// SlowRetry is the least wait after the server refused the credentials or
	// the vhost, which trying again soon cannot change. Default 30 s.
	SlowRetry time.Duration
	// InitialPasses is how often every endpoint is tried before the first
	// connect fails. Default 1; negative: as often as it takes.
	InitialPasses int
	// ReplayTimeout bounds one phase of the topology replay. Default 1 minute.
	ReplayTimeout time.Duration

	// Recorder is what is replayed on every new connection; nil: nothing.
	Recorder *topology.Recorder
	// Gate, if set, must return nil before a session is announced.
	Gate func(context.Context) error

	Log  *zap.Logger // default: none
	Emit func(Event) // receives every event; must not block. Default: none
}

// DefaultRetry waits a random time up to a limit that grows from 0.5 s to
// 30 s (full jitter), without end.
func DefaultRetry() backoff.BackOff {
	e := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(500*time.Millisecond),
		backoff.WithMaxInterval(30*time.Second),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0),
		backoff.WithMaxElapsedTime(0),
	)
	return FullJitter(e)
}

func (c Config) withDefaults() Config {
	if c.Retry == nil {
		c.Retry = DefaultRetry
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
		c.Emit = func(Event) {}
	}
	return c
}
