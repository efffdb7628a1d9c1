package recovery

import (
	"context"
	"time"

	"github.com/warren-mq/warren/core"
)

// Grant is credentials with a limited life, such as an OAuth 2 token.
type Grant struct {
	core.Credentials
	Expires time.Time // zero: never
}

// Credentials provides grants. renew is true when the grant returned last was
// refused or is about to expire: the answer must then not come from a cache.
// It must return when ctx ends, after ten seconds; it is not waited for much longer.
type Credentials func(ctx context.Context, renew bool) (Grant, error)
