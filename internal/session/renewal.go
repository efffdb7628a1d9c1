package session

import (
	"context"
	"time"

	"github.com/warren-mq/warren/recovery"

	"github.com/warren-mq/warren/core"
)

// wallet is what the supervisor knows of its credentials.
type wallet struct {
	source  recovery.Credentials // nil: each endpoint has its own
	used    recovery.Grant       // at the last attempt
	held    *recovery.Grant      // renewed, for the next attempt
	renewed bool                 // since the last loss, after a refusal
}

// provider returns the function that gives core the credentials for an attempt.
func (w *wallet) provider(endpoint core.Config) func(context.Context) (core.Credentials, error) {
	return func(ctx context.Context) (core.Credentials, error) {
		if w.held != nil {
			w.used, w.held = *w.held, nil
			return w.used.Credentials, nil
		}
		g, err := w.ask(ctx, endpoint, false)
		w.used = g
		return g.Credentials, err
	}
}

func (w *wallet) ask(ctx context.Context, endpoint core.Config, renew bool) (recovery.Grant, error) {
	if w.source != nil {
		return lookUp(ctx, func(ctx context.Context) (recovery.Grant, error) { return w.source(ctx, renew) })
	}
	if endpoint.Credentials == nil {
		endpoint.Credentials = core.Login("guest", "guest")
	}
	c, err := lookUp(ctx, endpoint.Credentials)
	return recovery.Grant{Credentials: c}, err
}

// renew asks for other credentials after a refusal, once for each loss. It
// reports whether there are any, so that trying again at once makes sense.
func (w *wallet) renew(ctx context.Context, endpoint core.Config) bool {
	if w.renewed {
		return false
	}
	w.renewed = true
	g, err := w.ask(ctx, endpoint, true)
	if err != nil || g.Credentials == w.used.Credentials {
		return false
	}
	w.held = &g
	return true
}

// lost notes that a connection was lost, which had accepted the credentials.
func (w *wallet) lost() { w.renewed = false }

// The waits between attempts to renew a grant: the least before it expires,
// and the one after.
const (
	minRenewal  = time.Second
	lateRenewal = 30 * time.Second
)

// renewIn returns how long after now the grant in use should be renewed: when
// four fifths of what is left of its life are over. false: never.
func (w *wallet) renewIn(now time.Time) (time.Duration, bool) {
	if w.source == nil || w.used.Expires.IsZero() {
		return 0, false
	}
	left := w.used.Expires.Sub(now)
	if left <= 0 {
		return lateRenewal, true // the broker may not have noticed yet
	}
	return max(minRenewal, left/5*4), true
}
