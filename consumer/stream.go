package consumer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/offsets"
)

// FromOffset consumes a stream, from a place on: "first", "last" (the last
// chunk), "next", a uint64 offset, a time.Time, or an interval such as "1h".
// Default: "next".
//
// A stream is one by its type, with this option or without: if the client
// declared it so, or else by what it delivers.
//
// After a loss the consumer goes on at the first message that it has not
// settled, instead of at that place again; only while none was delivered yet
// does it begin again. With "next" that is when it first subscribed, and a
// moment before, so that a few older messages may come too; with "last" it is
// the chunk that is the last one then, and what came in between is missed.
// If the broker lost the stream meanwhile and it was declared again, it goes on at its first message.
// [Consumer.Offset] tells how far it is, to be stored by an application that wants to go
// on there in another process.
//
// A stream delivers nothing again by itself: a handler that fails, or asks for
// a requeue, is called again with the same delivery after the [RequeuePause].
// [AutoAck] does not go with streams.
//
// Not every header comes back as it was published: RabbitMQ brings a []byte as a string, and a list or a table
// only under a name that begins with x-; over a decimal it closes the publisher's connection (541).
func FromOffset(from any) Option { return func(c *config) { c.stream, c.from = true, from } }

// beginning settles where in a stream to begin, whichever option said so.
func (c *config) beginning() (err error) {
	if from, given := c.args[offsets.Header]; given && !c.stream {
		c.stream, c.from = true, from
	}
	switch {
	case !c.stream:
		return nil
	case c.autoAck:
		return errors.New("a stream needs acks: automatic ack does not go with it")
	}
	c.from, err = offsetArgument(c.from)
	return err
}

// offsetArgument returns what x-stream-offset is to be for from.
func offsetArgument(from any) (any, error) {
	switch v := from.(type) {
	case string, time.Time:
		return v, nil
	case int:
		if v >= 0 {
			return int64(v), nil
		}
	case int32:
		return offsetArgument(int64(v))
	case uint32:
		return int64(v), nil
	case int64:
		if v >= 0 {
			return v, nil
		}
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v), nil
		}
	}
	return nil, fmt.Errorf(`stream offset %v of type %T: want "first", "last", "next", an interval, an offset or a time.Time`, from, from)
}

// kindOf settles what is known of the queue before it has delivered. What the
// broker would close the connection over is refused.
func (c *Consumer) kindOf(k knowledge) error {
	switch {
	case k.stream && c.cfg.autoAck:
		return &core.ValidationError{Method: "basic.consume", Err: fmt.Errorf("%q is a stream, which needs acks: leave out consumer.AutoAck", c.Queue())}
	case c.cfg.stream || k.stream:
		c.offsets.SetKind(offsets.Stream)
	case k.plain || c.cfg.autoAck:
		c.offsets.SetKind(offsets.Plain)
	default:
		c.offsets.SetKind(offsets.Unknown)
	}
	return nil
}

// Offset returns the offset of the first message of the stream that is not
// settled; false until one was delivered, and where it is no stream: see [FromOffset].
func (c *Consumer) Offset() (next uint64, known bool) { return c.offsets.Position() }

// arguments returns the arguments of the next basic.consume, and which of them it is.
func (c *Consumer) arguments() (core.Table, int) {
	if c.offsets.Kind() == offsets.Plain {
		round, _, _ := c.offsets.Restart()
		return c.cfg.args, round
	}
	return c.offsets.Arguments(c.cfg.args, c.cfg.from)
}

// explained adds what to do to the refusal of a stream that another service declared.
func (c *Consumer) explained(err error) error {
	e := core.AsError(err)
	if c.cfg.autoAck && e.ClosedOver(wire.MethodBasicConsume) && e.Says(core.ErrPreconditionFailed, "prefetch count is not set") {
		return fmt.Errorf("%w: it is a stream, which needs acks: leave out consumer.AutoAck", err)
	}
	return err
}

// checkReplaced begins a stream again if it was gone, and declared again, since the
// last subscription.
func (f *feed) checkReplaced() {
	if n := f.c.conn.Recreations(f.c.Queue()); n != f.recreations {
		f.recreations = n
		f.c.offsets.Replaced()
	}
}

// receive returns the next delivery of sub. Those of a stream are received one
// at a time, so that they are noted in order; so is the first, which may be of one.
func (c *Consumer) receive(ctx context.Context, sub *subscription) (*core.Delivery, error) {
	if c.offsets.Kind() == offsets.Plain {
		return sub.consumer.Receive(ctx)
	}
	select {
	case c.offsets.Turn <- struct{}{}:
		defer func() { <-c.offsets.Turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	d, err := sub.consumer.Receive(ctx)
	if err == nil {
		c.offsets.Learn(d)
		if offset, ok := c.offset(d); ok {
			c.offsets.Delivered(sub.round, offset)
		}
	}
	return d, err
}

// settled notes that a delivery of a stream is done with.
func (c *Consumer) settled(d *core.Delivery) {
	if offset, ok := c.offset(d); ok {
		c.offsets.Settled(offset)
	}
}

// offset returns the offset of a stream's delivery; false: it is of no stream.
func (c *Consumer) offset(d *core.Delivery) (uint64, bool) {
	if !c.offsets.IsStream() {
		return 0, false
	}
	return offsets.Of(d)
}

// repeat calls the handler of a stream's delivery again and again until it
// succeeds, rejects or has settled it, the delivery goes stale, or the consumer stops.
func (c *Consumer) repeat(ctx context.Context, f *feed, d *core.Delivery, handle Handler, result error) error {
	for result != nil && !errors.Is(result, ErrReject) && !d.Settled() && ctx.Err() == nil {
		if !errors.Is(result, ErrRequeue) {
			f.report(result)
		}
		c.rest(ctx, f)
		if f.ctx.Err() != nil {
			break
		}
		result = c.call(ctx, d, handle)
	}
	return result
}
