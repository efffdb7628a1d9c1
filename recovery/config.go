package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren/core"
)

// Config says how a connection is kept alive. A field's zero value means its default.
type Config struct {
	// Retry returns the waits between attempts, one policy for the life of the
	// connection; it is reset after an uptime of StableAfter. The first attempt
	// on each endpoint after a loss is made at once. When it returns
	// backoff.Stop the connection is given up. Default: [DefaultRetry].
	Retry func() backoff.BackOff
	// StableAfter is the uptime that resets Retry, so that a connection that
	// flaps is retried ever more slowly. Default one minute.
	StableAfter time.Duration
	// SlowRetry is the least wait after the server refused the credentials or
	// the vhost, or broke the protocol five times in a row, which trying again
	// soon cannot change. Default 30 s.
	SlowRetry time.Duration
	// Network and Authentication limit the attempts after a loss, by their
	// cause: no server that answers; a server that refuses credentials or
	// vhost. When one is spent the connection is given up. Default: no limit.
	Network, Authentication Budget
	// Semantic limits how often a refused entity is tried again on one
	// connection. Default: no limit.
	Semantic Budget
	// Refused, if set, decides what becomes of an entity that the broker did
	// not declare on a new connection. It may call any API, within ctx, which
	// ends with the connection; all the calls of one replay have ReplayTimeout
	// together, and what comes later is retried, and asked about again then. A
	// call that does not end with ctx is waited for no longer. Default: [DecisionRetry].
	Refused func(ctx context.Context, r Refusal) Decision
	// InitialPasses is how often every endpoint is tried before the first
	// connect fails. Default 1; negative: as often as it takes.
	InitialPasses int
	// Recover, if set, is asked after each loss whether to recover from it;
	// if not, the connection is given up with that cause. It is never asked
	// when the application closes. It may call any API, within ctx, which
	// ends after ReplayTimeout; without an answer the loss is recovered from.
	Recover func(ctx context.Context, cause error) bool
	// ReplayTimeout bounds one phase of the topology replay. Default 1 minute.
	ReplayTimeout time.Duration

	// ReplayAll declares everything on every connection. Otherwise the broker is
	// asked which exchanges and queues it still has, and only what the loss took
	// is declared; that is much faster, but does not notice a binding that
	// somebody else removed between an exchange and a queue that are both
	// there. Set it where the endpoints are brokers with nothing in common.
	ReplayAll bool
}

// Validate returns a [*core.ValidationError] that names what cannot be meant: negative times and budgets.
func (c Config) Validate() error {
	errs := []error{}
	for name, n := range map[string]int64{
		"stable after": int64(c.StableAfter), "slow retry": int64(c.SlowRetry), "replay timeout": int64(c.ReplayTimeout),
		"network budget": c.Network.least(), "authentication budget": c.Authentication.least(), "semantic budget": c.Semantic.least(),
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", name))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return &core.ValidationError{Method: "recovery", Err: errors.Join(errs...)}
}
