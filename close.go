package warren

import (
	"context"
	"errors"
	"sync"

	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/publisher"
)

// Drain ends the client in order: consumers begin no new message and finish
// those they have, publishers accept no new message and wait for the outcomes
// of those they have, then the connections are closed. It works during an
// outage too, and then waits for the connection. When ctx ends first, the rest
// is done as by [Client.Close], and the cause returned.
func (c *Client) Drain(ctx context.Context) error {
	publishers, consumers := c.members()
	err := each(consumers, func(x *consumer.Consumer) error { return x.Stop(ctx) })
	err = errors.Join(err, each(publishers, func(x *publisher.Publisher) error { return x.Drain(ctx) }))
	return errors.Join(err, c.Close(ctx))
}

// Close ends the client now, in whatever state it is: consumers stop,
// publishes without an outcome end as not sent or unknown, what waits returns
// [core.ErrClosed]. It returns when nothing of the client runs any more, or
// when ctx ends; the connections are closed in any case. Closing again is safe.
func (c *Client) Close(ctx context.Context) error {
	publishers, consumers := c.members()
	err := each(publishers, func(x *publisher.Publisher) error { return x.Close(ctx) })
	err = errors.Join(err, c.publish.Close(ctx), c.main.Close(ctx))
	err = errors.Join(err, each(consumers, func(x *consumer.Consumer) error { return x.Stop(ctx) }))
	return errors.Join(err, c.events.Close(ctx))
}

// members takes the client out of service for new ones and returns those it has.
func (c *Client) members() ([]*publisher.Publisher, []*consumer.Consumer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return c.publishers, c.consumers
}

// each runs f on all of list at once and joins the errors, without repeating
// that the client is closed.
func each[T any](list []T, f func(T) error) error {
	errs := make([]error, len(list))
	var all sync.WaitGroup
	for i, x := range list {
		all.Go(func() {
			if err := f(x); !errors.Is(err, core.ErrClosed) {
				errs[i] = err
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
