package warren

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// Health is what a probe wants to know of a client, at one moment.
type Health struct {
	// Live: no connection in use was closed or given up. If not, only a new
	// client helps: restart.
	Live bool
	// Ready: everything is as the application declared it. If not, Err tells
	// what is missing; it is being worked on.
	Ready bool
	// State is the client's, as of [Client.State].
	State State
	// Connections has one entry for each connection in use, the main one first.
	Connections []recovery.Health
}

// Err returns nil if ready, else the reason in one line.
func (h Health) Err() error { return h.State.Err() }

// State returns how far the client is: the least ready of the connections in
// use counts (see [Client.Health]), above all one that is closed for good, and
// Degraded names what could not be restored on any of them.
func (c *Client) State() State { return c.Health().State }

// Health returns what a probe wants to know. It costs no I/O. Live and ready is
// the client whose connections in use all are.
//
// The connection to publish on is in use while there is a publisher, the main one
// while there is a consumer, a channel or something declared, and if the
// other is not. One that is closed for good always counts.
func (c *Client) Health() Health {
	h := Health{Live: true, Ready: true}
	var degraded []Failure
	for i, conn := range c.inUse() {
		one := conn.Health()
		s := one.State
		degraded = append(degraded, s.Degraded...)
		if i == 0 || h.State.Stage != recovery.StageClosed && (s.Stage == recovery.StageClosed || s.Stage < h.State.Stage) {
			h.State = s
		}
		h.Live, h.Ready = h.Live && one.Live, h.Ready && one.Ready
		h.Connections = append(h.Connections, one)
	}
	h.State.Degraded = degraded
	return h
}

// inUse returns the connections that count, the main one first.
func (c *Client) inUse() []*session.Connection {
	switch {
	case c.publish.Idle() || !c.publishing() && !ended(c.publish):
		return []*session.Connection{c.main}
	case !c.main.InUse() && !ended(c.main):
		return []*session.Connection{c.publish}
	}
	return []*session.Connection{c.main, c.publish}
}

// publishing reports whether there is a publisher.
func (c *Client) publishing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.publishers, func(p *publisher.Publisher) bool { return !ended(p) })
}

func ended(x interface{ Done() <-chan struct{} }) bool {
	select {
	case <-x.Done():
		return true
	default:
		return false
	}
}

// AwaitReady waits until the client is ready, within ctx: connected, topology
// declared, every consumer subscribed, nothing degraded. A consumer counts from
// when it is made: make it by [Client.Consumer], not by a [Client.Consume] on
// another goroutine, which may not have begun. When ctx ends first the
// error says what is missing.
func (c *Client) AwaitReady(ctx context.Context) error {
	for _, conn := range c.inUse() {
		if err := conn.Await(ctx, State.Ready); err != nil {
			return err
		}
	}
	return nil
}

// Reconnect drops the physical connections in use and makes new ones, for
// example before a node goes down for maintenance. reason is the cause that
// events and the report name. What lives on the connections ends with
// core.ErrClosed, and goes on as after any loss.
func (c *Client) Reconnect(reason error) {
	if reason == nil {
		reason = errors.New("reconnect asked for")
	}
	for _, conn := range []*session.Connection{c.main, c.publish} {
		if !conn.Idle() {
			conn.Reconnect(reason)
		}
	}
}

// Listen has every event from now on given to f, in order, on one goroutine. f
// may call any API and cannot stall recovery; one that is slow misses events,
// and is told how many. At most 1024 wait.
func (c *Client) Listen(f func(Event)) (stop func()) { return c.events.Listen(f) }

// Events yields the events from now on, until ctx ends or the client is closed.
func (c *Client) Events(ctx context.Context) iter.Seq[Event] { return c.events.Events(ctx) }
