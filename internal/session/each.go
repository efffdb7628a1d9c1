package session

import "context"

// Each calls serve with one session after another, until serve returns done or ctx ends. A session whose
// connection has died meanwhile is not offered again; on one that lives serve is called once more, and
// waits first if it wants to. The error is serve's last, the cause of ctx's end, or why there is no session: see
// [Connection.Session].
func (c *Connection) Each(ctx context.Context, serve func(s *Session) (done bool, err error)) error {
	var after uint64 // sessions up to this epoch are dead
	for {
		s, err := c.SessionAfter(ctx, after)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if done, err := serve(s); done {
			return err
		}
		if s.Conn.Err() != nil {
			after = s.Epoch
		}
	}
}
