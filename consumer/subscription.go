package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/offsets"
	"github.com/warren-mq/warren/internal/session"
)

// subscription is one basic.consume on one physical channel. It is born once
// and dies once.
type subscription struct {
	ch       *core.Channel
	round    int // which of the consumer's
	consumer *core.Consumer
	ctx      context.Context // of handlers: ends when their deliveries go stale, with the cause
	end      context.CancelCauseFunc
	known    knowledge
	prefetch int
	finishes bool // what it holds when the consumer stops is handled, since giving it back would count
	large    *oversize

	extra  []*core.Consumer // further ones whose deliveries come to consumer; guarded by the feed's lock
	extras int              // so far; of runSlots
}

// runWatch ends the handlers' context when their deliveries go stale: with the
// channel, or when the server takes the consumer away.
func (s *subscription) runWatch() {
	<-s.consumer.Done()
	if err := s.consumer.Err(); errors.Is(err, core.ErrCancelled) {
		s.end(stale(err))
		return
	}
	<-s.ch.Done()
	s.end(stale(s.ch.Err()))
}

// stale is the cause with which the contexts of handlers end.
func stale(cause error) error { return fmt.Errorf("%w: %w", core.ErrStale, cause) }

// subscribe opens a private channel on s and consumes the queue. offender: the
// broker closed the connection over it.
func (f *feed) subscribe(s *session.Session) (_ *subscription, offender bool, err error) {
	if err := f.c.conn.AwaitQueue(f.ctx, s, f.c.follow()); err != nil {
		return nil, false, err
	}
	ch, err := s.Conn.Channel(f.ctx)
	if err != nil {
		return nil, false, err
	}
	f.checkReplaced()
	known := f.c.known(s)
	if err := f.c.kindOf(known); err != nil {
		_ = ch.Close(f.handlers) // the error counts
		return nil, false, err
	}
	return f.subscribeOn(s, ch, known)
}

// subscribeOn consumes the queue on ch, or on another channel if it turns out to be no stream.
func (f *feed) subscribeOn(s *session.Session, ch *core.Channel, known knowledge) (_ *subscription, offender bool, err error) {
	args, round := f.c.arguments()
	prefetch := f.c.cfg.prefetchFor(known)
	large, since := &oversize{f: f, s: s}, time.Now()
	consumer, offender, err := f.consume(s, ch, args, prefetch, large)
	if err != nil {
		// The first error counts. A channel that is closed requeues whatever a
		// consume-ok that came too late has started.
		_ = ch.Close(f.handlers)
		if !f.c.offsets.IsNone(err) {
			return nil, offender, f.c.explained(err)
		}
		if ch, err = s.Conn.Channel(f.ctx); err != nil {
			return nil, false, err
		}
		return f.subscribeOn(s, ch, known)
	}
	f.c.offsets.Subscribed(since)
	sub := &subscription{ch: ch, round: round, consumer: consumer, known: known, prefetch: prefetch, large: large}
	sub.finishes = known.counts && f.c.handled && !f.c.cfg.autoAck && !f.c.offsets.IsStream()
	sub.ctx, sub.end = context.WithCancelCause(f.handlers)
	go sub.runWatch()
	return sub, false, nil
}

// consume consumes the queue, without company if the last connection may have
// ended because of it. offender: the broker closed the connection over it.
func (f *feed) consume(s *session.Session, ch *core.Channel, args core.Table, prefetch int, large *oversize) (_ *core.Consumer, offender bool, err error) {
	var consumer *core.Consumer
	blame, err := f.c.conn.Attempt(f.ctx, s.Conn, f.isolation.suspect, func() (err error) {
		consumer, err = f.c.consume(f.ctx, ch, args, prefetch, large)
		return err
	})
	switch {
	case err == nil:
		f.isolation = isolation{}
	case blame == session.Offender:
		f.isolation.suspect = true
		f.isolation.refused(time.Now())
	case blame == session.Suspect:
		f.isolation.suspect = true
	}
	return consumer, blame == session.Offender, err
}

func (c *Consumer) consume(ctx context.Context, ch *core.Channel, args core.Table, prefetch int, large *oversize) (*core.Consumer, error) {
	if !c.cfg.autoAck {
		if err := ch.Qos(ctx, core.BasicQos{PrefetchCount: uint16(prefetch)}); err != nil {
			return nil, err
		}
	}
	options := []core.ConsumeOption{core.OnTooLarge(large.take)}
	if !c.cfg.autoAck && c.offsets.Kind() != offsets.Plain {
		options = append(options, offsets.Buffer(prefetch))
	}
	if c.handled {
		options = append(options, core.KeepDeliveries())
	}
	return ch.Consume(ctx, core.BasicConsume{
		Queue: c.Queue(), ConsumerTag: c.cfg.tag, NoAck: c.cfg.autoAck, Exclusive: c.cfg.exclusive, Arguments: args,
	}, options...)
}
