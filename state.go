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

// State returns how far the client is: the least ready of the connections in
// use counts (see [Client.Health]), above all one that is closed for good, and
// Degraded names what could not be restored on any of them.
func (c *Client) State() State {
	var least State
	var degraded []Failure
	for i, conn := range c.inUse() {
		s := conn.State()
		degraded = append(degraded, s.Degraded...)
		if i == 0 || least.Stage != recovery.StageClosed && (s.Stage == recovery.StageClosed || s.Stage < least.Stage) {
			least = s
		}
	}
	least.Degraded = degraded
	return least
}

// Health returns what a probe wants to know of each connection in use. It costs
// no I/O. Live and ready is the client whose connections all are.
//
// The connection to publish on is in use while there is a publisher, the main one
// while there is a consumer, a channel or something declared, and if the
// other is not. One that is closed for good always counts.
func (c *Client) Health() []Health {
	var all []Health
	for _, conn := range c.inUse() {
		all = append(all, conn.Health())
	}
	return all
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
