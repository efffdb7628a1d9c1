package channel

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/internal/offsets"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// Consumer is a consumer on a [Channel]. It goes on, under the same tag, when
// its channel or connection is lost, and when the server cancels it: its queue
// is then looked for, declared again if the client declared it, and consumed
// again, after ever longer waits while that fails. On a stream, which delivers nothing again by
// itself, it goes on at the first message that was received and not settled; a few that were
// may come twice. With x-stream-offset "last" and nothing received yet it begins at the chunk that is
// the last one then. Once refused, it is tried on a
// channel of its own until it is taken there, so that others on its channel are left
// alone; what arrives in that moment, one message at most, goes back to the queue. It ends by Cancel, with its
// channel, when [recovery.Config].Semantic is spent, or with [core.ErrOverflow]. One that
// ended by itself stays in the connection's state as degraded, until its channel is
// closed, it is cancelled, or another one takes its tag there.
// All methods are safe for concurrent use; several goroutines may receive.
type Consumer struct {
	channel *Channel
	m       core.BasicConsume    // with the tag that the broker confirmed
	chosen  []core.ConsumeOption // by the application
	qos     core.BasicQos        // in force when it was started
	counted bool                 // by the recorder
	// named is its queue when it was started last. A server-named queue is
	// known by its latest earlier names only.
	named atomic.Pointer[string]
	done  chan struct{}
	once  sync.Once
	// position is where it goes on if its queue is a stream.
	position *position

	// Guarded by the channel's lock.
	args     core.Table     // with which it is started again
	placed   bool           // args say where in a stream to go on
	physical *core.Consumer // the present or last one
	awaited  *core.Consumer // whose end the channel's goroutine is told of
	started  time.Time      // physical
	again    reopening      // of being cancelled again and again
	refusal  error          // why there is no living one
	attempts int            // refusals in a row
	since    time.Time      // of the first
	wait     backoff.Wait
	due      time.Time                 // when to try again; zero: at once
	verified bool                      // its queue exists
	refused  bool                      // over its basic.consume: it is tried on a channel of its own first
	untold   bool                      // it is back, and no event has said so
	suspect  bool                      // it may have made the broker close the connection
	starting bool                      // basic.consume is sent, or about to be, and not answered
	err      error                     // why it ended
	holds    error                     // what it holds that it can do nothing with
	holdsOn  *core.Channel             // until that ends
	tooLarge []*recovery.TooLargeError // no event has told of them yet
	changed  gate.Gate
}

// onLocked reports whether the consumer is established on a physical channel. The lock
// is the logical channel's.
func (c *Consumer) onLocked(physical *core.Channel) bool {
	return c.physical != nil && c.physical.Channel() == physical && c.physical.Err() == nil
}

// sound reports whether nothing speaks against starting it.
func (c *Consumer) sound(physical *core.Channel) bool {
	return c.refusal == nil && !c.cancelledOn(physical)
}

// cancelledOn reports whether the server took it off a living channel.
func (c *Consumer) cancelledOn(physical *core.Channel) bool {
	return c.physical != nil && c.physical.Channel() == physical && errors.Is(c.physical.Err(), core.ErrCancelled)
}

// fatal reports whether the broker closed the connection over it.
func (c *Consumer) fatal() bool {
	c.channel.mu.Lock()
	defer c.channel.mu.Unlock()
	return c.refusal != nil && recovery.ReasonOf(c.refusal) == recovery.ReasonFatal
}

// overflowed reports whether it ended because it was not read fast enough.
func (c *Consumer) overflowed(physical *core.Channel) bool {
	return c.physical != nil && c.physical.Channel() == physical && errors.Is(c.physical.Err(), core.ErrOverflow)
}

// method returns what consumes it now.
func (c *Consumer) method(conn *session.Connection) core.BasicConsume {
	m := c.m
	m.Queue = c.queue(conn)
	m.NoWait = false
	c.channel.mu.Lock()
	args, placed := c.args, c.placed
	c.channel.mu.Unlock()
	if !placed {
		args = c.position.arguments(args, conn.Recreations(m.Queue), c.prefetch())
	}
	m.Arguments = args
	return m
}

// options returns how its next subscription is buffered.
func (c *Consumer) options() []core.ConsumeOption {
	own := []core.ConsumeOption{core.OnTooLarge(c.holdTooLarge)}
	if c.position.offsets.IsStream() && c.prefetch() > 0 {
		own = append(own, offsets.Buffer(c.prefetch()))
	}
	return append(own, c.chosen...)
}

// prefetch is how many deliveries can be unsettled at once; 0: any number.
func (c *Consumer) prefetch() int { return int(c.qos.PrefetchCount) }

// SetArguments replaces the arguments of basic.consume for when the consumer is
// started again after a loss. With an x-stream-offset among them a consumer of a
// stream begins there, instead of where it would go on by itself. Arguments that cannot be sent are refused with a [*core.ValidationError].
func (c *Consumer) SetArguments(args core.Table) error {
	if err := validArguments(args); err != nil {
		return err
	}
	args = args.Clone()
	c.channel.mu.Lock()
	defer c.channel.mu.Unlock()
	c.args = args
	_, c.placed = args[offsets.Header]
	return nil
}

func validArguments(args core.Table) error {
	if err := wire.ValidateTable(args); err != nil {
		return &core.ValidationError{Method: wire.MethodBasicConsume.String(), Err: err}
	}
	return nil
}

// queue returns the present name of its queue.
func (c *Consumer) queue(conn *session.Connection) string { return conn.Resolve(*c.named.Load()) }

// follow notes the present name of its queue.
func (c *Consumer) follow() {
	name := c.queue(c.channel.conn)
	c.named.Store(&name)
}

// String names the consumer for logs.
func (c *Consumer) String() string {
	return fmt.Sprintf("consumer %q of queue %q", c.m.ConsumerTag, c.queue(c.channel.conn))
}

// Tag returns the consumer tag, which never changes.
func (c *Consumer) Tag() string { return c.m.ConsumerTag }

// Done is closed when the consumer has ended for good.
func (c *Consumer) Done() <-chan struct{} { return c.done }

// Err returns nil until Done, then why the consumer ended.
func (c *Consumer) Err() error {
	c.channel.mu.Lock()
	defer c.channel.mu.Unlock()
	return c.err
}

// Receive returns the next delivery. It waits for one, over any number of
// losses, until ctx ends or the consumer has ended and nothing is left.
// Deliveries of a channel that is gone are dropped: the broker has them still.
func (c *Consumer) Receive(ctx context.Context) (*core.Delivery, error) {
	var spent *core.Consumer
	for {
		physical, changed, err := c.next(spent)
		if physical == nil {
			if err == nil {
				if err = gate.Await(ctx, changed); err != nil {
					err = gate.Waiting(err, "the consumer to be back", c.channel.conn.State().Err())
				}
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		d, err := c.position.receive(ctx, physical, c.prefetch())
		if err == nil || ctx.Err() != nil {
			return d, err
		}
		spent = physical
	}
}

// next returns the physical consumer unless it is the one spent, else why
// there is no more, or what to wait for.
func (c *Consumer) next(spent *core.Consumer) (*core.Consumer, <-chan struct{}, error) {
	c.channel.mu.Lock()
	defer c.channel.mu.Unlock()
	if c.physical != nil && c.physical != spent {
		return c.physical, nil, nil
	}
	return nil, c.changed.Wait(), c.err
}

// TryReceive returns the next delivery if there is one, and (nil, nil) if not.
func (c *Consumer) TryReceive() (*core.Delivery, error) {
	physical, _, err := c.next(nil)
	if physical == nil {
		return nil, err
	}
	if d, err := c.position.tryReceive(physical, c.prefetch()); err == nil {
		return d, nil
	}
	return nil, c.Err()
}

// All yields deliveries until the consumer or ctx ends; the last pair has a
// nil delivery and the reason. Breaking out of the loop does not cancel it.
func (c *Consumer) All(ctx context.Context) iter.Seq2[*core.Delivery, error] {
	return func(yield func(*core.Delivery, error) bool) {
		for {
			d, err := c.Receive(ctx)
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// Cancel ends the consumer: it is not brought back any more, and the broker is
// told, where it is established. Its answer is waited for within ctx. Messages
// that are already here can still be received and settled.
func (c *Consumer) Cancel(ctx context.Context) error { return c.channel.cancel(ctx, c, false) }

// cancel ends c, and its physical consumer too. One that is being started is
// cancelled by the goroutine that does that, and waited for.
func (ch *Channel) cancel(ctx context.Context, c *Consumer, noWait bool) error {
	ch.remove(c, core.ErrClosed)
	ch.mu.Lock()
	ch.overcomeLocked(c.Tag())
	for c.starting && !noWait {
		changed := c.changed.Wait()
		ch.mu.Unlock()
		if err := gate.Await(ctx, changed); err != nil {
			return err
		}
		ch.mu.Lock()
	}
	physical := c.physical
	ch.mu.Unlock()
	if physical == nil {
		return nil
	}
	var err error
	switch unanswered := (core.BasicCancel{ConsumerTag: c.Tag(), NoWait: true}); {
	case ctx.Err() != nil: // the broker is told all the same
		err = context.Cause(ctx)
		soon, cancel := context.WithTimeout(ch.ctx, abandonLimit)
		defer cancel()
		_ = physical.Channel().Cancel(soon, unanswered)
	case noWait:
		err = physical.Channel().Cancel(ctx, unanswered)
	default:
		err = physical.Cancel(ctx)
	}
	if physical.Channel().Err() != nil || errors.Is(err, core.ErrClosed) {
		return nil // it went with its channel
	}
	return err
}

// end ends the consumer for good. Unless the application has asked for it, it is told.
func (c *Consumer) end(cause error) {
	c.once.Do(func() {
		ch := c.channel
		ch.mu.Lock()
		c.err = cause
		if !c.starting {
			delete(ch.taken, c.m.ConsumerTag)
		}
		c.changed.Wake()
		asked := errors.Is(cause, core.ErrClosed)
		if !asked && ch.err == nil {
			ch.endings[c.m.ConsumerTag] = ch.conn.JoinEnded(c.String(), cause)
		}
		ch.mu.Unlock()
		if c.counted && !ch.conn.Closed() {
			ch.conn.Recorder().ConsumerRemoved(c.queue(ch.conn))
		}
		if !asked {
			ch.conn.Emit(recovery.Event{Kind: recovery.EventConsumerEnded, Entity: c.String(), Err: cause})
		}
		close(c.done)
	})
}
