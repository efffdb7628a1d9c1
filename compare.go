package warren

import (
	"context"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/topology/compare"
)

// Compare tells how t stands to what the broker has, and changes nothing
// there; it is [compare.Compare] on the client's connection. It waits for one
// during an outage, and begins again on the next one when it is lost meanwhile.
// Errors: those of [compare.Compare], the end of ctx, why the client is closed,
// and a [*compare.InterruptedError] if the broker closed the connection over it.
func (c *Client) Compare(ctx context.Context, t Topology, opts ...compare.Option) (*compare.Comparison, error) {
	return c.comparing(ctx, func(conn *core.Conn) (*compare.Comparison, error) {
		return compare.Compare(ctx, conn, t, opts...)
	})
}

// Apply creates what is missing of t, leaves alone what differs on the
// broker, and reports what it did; it is [compare.Apply] on the client's
// connection, for which it waits during an outage. Nothing is recorded: what
// the client itself needs after a loss is for [Client.Declare].
//
// If the connection is lost after something may have been created, Apply does not
// begin again, since it could no longer tell what it created: the
// comparison says what was reached, the error is a
// [*compare.InterruptedError], and applying t again is harmless. Other errors:
// those of [Client.Compare], and a [*compare.UnsettledError], with the whole
// comparison, if something on the broker differs or was refused.
func (c *Client) Apply(ctx context.Context, t Topology, opts ...compare.Option) (*compare.Comparison, error) {
	return c.comparing(ctx, func(conn *core.Conn) (*compare.Comparison, error) {
		return compare.Apply(ctx, conn, t, opts...)
	})
}

// comparing returns what f does on the connection. While there is no comparison
// nothing was done, so when the connection is lost f is called again on the next
// one, unless it is to blame.
func (c *Client) comparing(ctx context.Context, f func(*core.Conn) (*compare.Comparison, error)) (comparison *compare.Comparison, err error) {
	err = c.main.Each(ctx, func(s *session.Session) (done bool, err error) {
		comparison, err = f(s.Conn)
		return err == nil || comparison != nil || s.Conn.Err() == nil || accused(err), err
	})
	return comparison, err
}

// accused reports whether the broker closed the connection over a declaration.
func accused(err error) bool {
	interrupted, ok := errs.AsType[*compare.InterruptedError](err)
	return ok && len(interrupted.Suspects) > 0
}
