package session

import (
	"context"
	"time"

	"github.com/warren-mq/warren/core"
)

// credentialCache is what the supervisor knows of its credentials.
type credentialCache struct {
	used    core.Credentials  // at the last attempt
	held    *core.Credentials // renewed, for the next attempt
	heldFor string            // the address of the endpoint that they are for
	renewed bool              // since the last loss, after a refusal
}

// source returns the function that gives core the credentials for an attempt.
func (c *credentialCache) source(endpoint core.Config) core.CredentialSource {
	return func(ctx context.Context, renew bool) (core.Credentials, error) {
		held := c.held
		c.held = nil
		if held != nil && c.heldFor == endpoint.Addr {
			c.used = *held
			return c.used, nil
		}
		var err error
		c.used, err = credentialsOf(ctx, endpoint, renew)
		return c.used, err
	}
}

// credentialsOf asks the endpoint's source.
func credentialsOf(ctx context.Context, endpoint core.Config, renew bool) (core.Credentials, error) {
	source := endpoint.Credentials
	if source == nil {
		source = core.Login("guest", "guest")
	}
	return lookUp(ctx, func(ctx context.Context) (core.Credentials, error) { return source(ctx, renew) })
}

// renew asks for other credentials after a refusal, once for each loss. It
// reports whether there are any, so that trying again at once makes sense.
func (c *credentialCache) renew(ctx context.Context, endpoint core.Config) bool {
	if c.renewed {
		return false
	}
	c.renewed = true
	fresh, err := credentialsOf(ctx, endpoint, true)
	if err != nil || fresh.Username == c.used.Username && fresh.Password == c.used.Password {
		return false
	}
	c.held, c.heldFor = &fresh, endpoint.Addr
	return true
}

// lost notes that a connection was lost, which had accepted the credentials.
func (c *credentialCache) lost() { c.renewed = false }

// The waits between attempts to renew credentials: the least before they expire,
// and the one after.
const (
	minRenewal  = time.Second
	lateRenewal = 30 * time.Second
)

// renewIn returns how long after now the credentials in use should be renewed:
// when four fifths of what is left of their life are over. false: never.
func (c *credentialCache) renewIn(now time.Time) (time.Duration, bool) {
	if c.used.Expires.IsZero() {
		return 0, false
	}
	left := c.used.Expires.Sub(now)
	if left <= 0 {
		return lateRenewal, true // the broker may not have noticed yet
	}
	return max(minRenewal, left/5*4), true
}
