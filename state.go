package warren

import (
	"context"
	"errors"
	"iter"

	"github.com/warren-mq/warren/recovery"
)

// State returns how far the client is: the least ready of the connections in
// use counts, above all one that is closed for good, and Degraded names what
// could not be restored on any of them.
func (c *Client) State() State {
	s := c.main.State()
	if c.publish.Idle() {
		return s
	}
	p := c.publish.State()
	degraded := append(s.Degraded, p.Degraded...)
	if s.Stage != recovery.Closed && (p.Stage == recovery.Closed || p.Stage < s.Stage) {
		s = p
	}
	s.Degraded = degraded
	return s
}

// Health returns what a probe wants to know of each connection in use: the
// main one, and the one to publish on once it was needed. It costs no I/O. Live
// and ready is the client whose connections all are.
func (c *Client) Health() []Health {
	all := []Health{c.main.Health()}
	if !c.publish.Idle() {
		all = append(all, c.publish.Health())
	}
	return all
}

// AwaitReady waits until the client is ready, within ctx: connected, topology
// declared, every consumer subscribed, nothing degraded.
func (c *Client) AwaitReady(ctx context.Context) error {
	if err := c.main.Await(ctx, State.Ready); err != nil || c.publish.Idle() {
		return err
	}
	return c.publish.Await(ctx, State.Ready)
}

// Reconnect drops the physical connections in use and makes new ones, for
// example before a node goes down for maintenance. reason is the cause that
// events and the report name. What lives on the connections ends with
// core.ErrClosed, and goes on as after any loss.
func (c *Client) Reconnect(reason error) {
	if reason == nil {
		reason = errors.New("reconnect asked for")
	}
	for _, conn := range []*recovery.Connection{c.main, c.publish} {
		if !conn.Idle() {
			conn.Reconnect(reason)
		}
	}
}

// Topology returns what the client has declared and not deleted: what is
// declared again after a loss.
func (c *Client) Topology() Topology { return c.recorder.Snapshot() }

// Listen has every event from now on given to f, in order, on one goroutine. f
// may call any API and cannot stall recovery; one that is slow misses events,
// and is told how many. See [recovery.Dispatcher].
func (c *Client) Listen(f func(Event)) (stop func()) { return c.events.Listen(f) }

// Events yields the events from now on, until ctx ends or the client is closed.
func (c *Client) Events(ctx context.Context) iter.Seq[Event] { return c.events.Events(ctx) }
