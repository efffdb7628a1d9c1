package warren

import (
	"context"

	"github.com/warren-mq/warren/topology"
)

// Compare tells how t stands to what the broker has, and changes nothing
// there; it is [topology.Compare] on the client's connection. It waits for one
// during an outage, and begins anew on the next one when it is lost meanwhile.
// Errors: those of [topology.Compare], the end of ctx, why the client is closed.
func (c *Client) Compare(ctx context.Context, t Topology, opts ...topology.CompareOption) (*topology.Comparison, error) {
	for after := uint64(0); ; {
		s, err := c.main.SessionAfter(ctx, after)
		if err != nil {
			return nil, err
		}
		comparison, err := topology.Compare(ctx, s.Conn, t, opts...)
		if err == nil || s.Conn.Err() == nil {
			return comparison, err
		}
		after = s.Epoch
	}
}

// Apply creates what is missing of t, leaves alone what the broker has
// otherwise, and reports what it did; it is [topology.Apply] on the client's
// connection, for which it waits during an outage. Nothing is recorded: what
// the client itself needs after a loss is for [Client.Declare].
//
// When the connection is lost meanwhile it is not made again, for then it
// could no longer be told what was created: the comparison says what was
// reached, the error is a [*topology.InterruptedError], and applying t again is
// harmless. Other errors: those of [Client.Compare].
func (c *Client) Apply(ctx context.Context, t Topology, opts ...topology.CompareOption) (*topology.Comparison, error) {
	s, err := c.main.Session(ctx)
	if err != nil {
		return nil, err
	}
	return topology.Apply(ctx, s.Conn, t, opts...)
}
