package consumer

import (
	"context"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/recovery"
)

// subscription is one basic.consume on one physical channel. It is born once
// and dies once.
type subscription struct {
	ch       *core.Channel
	consumer *core.Consumer
	ctx      context.Context // of handlers: ends when it dies, with the cause
	end      context.CancelCauseFunc
}

// subscribe opens a private channel on s and consumes the queue.
func (f *feed) subscribe(s *recovery.Session) (*subscription, error) {
	ch, err := s.Conn.Channel(f.ctx)
	if err != nil {
		return nil, err
	}
	consumer, err := f.c.consume(f.ctx, ch)
	if err != nil {
		// The first error counts. A channel that is closed requeues whatever a
		// consume-ok that came too late has started.
		_ = ch.Close(f.handlers)
		return nil, err
	}
	sub := &subscription{ch: ch, consumer: consumer}
	sub.ctx, sub.end = context.WithCancelCause(f.handlers)
	return sub, nil
}

func (c *Consumer) consume(ctx context.Context, ch *core.Channel) (*core.Consumer, error) {
	if !c.cfg.autoAck {
		if err := ch.Qos(ctx, core.BasicQos{PrefetchCount: uint16(c.cfg.prefetch)}); err != nil {
			return nil, err
		}
	}
	return ch.Consume(ctx, core.BasicConsume{
		Queue: c.Queue(), ConsumerTag: c.cfg.tag, NoAck: c.cfg.autoAck, Exclusive: c.cfg.exclusive, Arguments: c.cfg.args,
	})
}
