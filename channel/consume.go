package channel

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session"
)

// remove ends a consumer for good.
func (ch *Channel) remove(c *Consumer, cause error) {
	ch.mu.Lock()
	ch.consumers = slices.DeleteFunc(ch.consumers, func(other *Consumer) bool { return other == c })
	ch.mu.Unlock()
	c.end(cause)
	ch.look()
}

// consumer returns the consumer with this tag, nil if there is none.
func (ch *Channel) consumer(tag string) *Consumer {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, c := range ch.consumers {
		if c.m.ConsumerTag == tag {
			return c
		}
	}
	return nil
}

var errTagTaken = errors.New("the consumer tag is in use on this channel")

// reserve takes a tag, which a second consume would lose the connection over.
func (ch *Channel) reserve(tag string) error {
	if tag == "" {
		return nil
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.taken[tag] {
		return &core.ValidationError{Method: "basic.consume", Err: errTagTaken}
	}
	ch.taken[tag] = true
	return nil
}

func (ch *Channel) unreserve(tag string) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	delete(ch.taken, tag)
}

// Consume starts a consumer, as [core.Channel.Consume]. If the broker refuses
// it, the error tells, and it is not tried again. Once started it goes on over
// any number of losses until it is cancelled: see [Consumer]. A message above
// [core.Config].MaxBody is held, and the state is degraded, until its channel ends;
// with [core.OnTooLarge] among opts it is rejected, or what that function does.
func (ch *Channel) Consume(ctx context.Context, m core.BasicConsume, opts ...core.ConsumeOption) (*Consumer, error) {
	if err := validArguments(m.Arguments); err != nil {
		return nil, err
	}
	if err := ch.reserve(m.ConsumerTag); err != nil {
		return nil, err
	}
	m.Arguments = m.Arguments.Clone()
	c := &Consumer{channel: ch, args: m.Arguments, done: make(chan struct{})}
	asked := time.Now()
	c.chosen = opts
	if err := ch.first(ctx, c, &m); err != nil {
		ch.unreserve(m.ConsumerTag)
		return nil, err
	}
	m.ConsumerTag = c.physical.Tag()
	c.m = m
	c.named.Store(&m.Queue)
	c.position.started(c.physical.Channel(), asked)
	ch.add(c)
	return c, nil
}

// first starts a consumer for the first time. While the connection ends and another
// attempt may have been the cause, or this one was not made at all, it is made again.
func (ch *Channel) first(ctx context.Context, c *Consumer, m *core.BasicConsume) error {
	suspect := false
	for {
		again := false
		err := ch.call(ctx, m, func(physical *core.Channel) (err error) {
			if m.Queue, err = ch.queue(m.Queue); err != nil {
				return err
			}
			if err := ch.takeTurn(ctx); err != nil {
				return err
			}
			defer ch.endTurn()
			sent := false
			blame, err := ch.conn.Attempt(ctx, physical.Conn(), suspect, func() (err error) {
				sent = true
				c.qos = ch.currentQos()
				c.position = positionOf(ch.conn, *m)
				c.physical, err = physical.Consume(ctx, *m, c.options()...)
				return err
			})
			suspect = suspect || blame == session.Suspect
			again = blame == session.Suspect || !sent && physical.Conn().Err() != nil
			return err
		})
		if err == nil || !again || ctx.Err() != nil {
			return err
		}
	}
}

// overcomeLocked takes the consumers that have ended by themselves under a tag out of
// the state.
func (ch *Channel) overcomeLocked(tag string) {
	if member := ch.endings[tag]; member != nil {
		delete(ch.endings, tag)
		member.Leave()
	}
}

// add makes a consumer one that is brought back.
func (ch *Channel) add(c *Consumer) {
	c.started = time.Now()
	if r := ch.conn.Recorder(); r != nil {
		r.ConsumerAdded(c.m.Queue)
		c.counted = true
	}
	ch.mu.Lock()
	closed := ch.err
	if closed == nil {
		ch.consumers = append(ch.consumers, c)
		ch.taken[c.m.ConsumerTag] = true
		ch.overcomeLocked(c.m.ConsumerTag)
		if ch.member == nil {
			ch.member = ch.conn.Join(ch.name, ch.look)
		}
	}
	ch.mu.Unlock()
	if closed != nil {
		c.end(closed)
	}
	ch.look() // the physical channel may be another one by now
}
