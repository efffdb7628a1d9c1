package channel

import (
	"context"
	"errors"
	"strings"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// call runs f on the physical channel. It is run again, on the next one, when
// the broker closed the channel over something else than this call: RabbitMQ handles
// a channel's methods in order and ignores those behind the one it refuses.
func (ch *Channel) call(ctx context.Context, m wire.Method, f func(*core.Channel) error) error {
	for {
		physical, err := ch.ready(ctx)
		if err != nil {
			return err
		}
		if err = f(physical); err == nil || !ignored(m, err) {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
	}
}

// ignored reports whether err says that the broker never looked at m.
func ignored(m wire.Method, err error) bool {
	e := core.AsError(err)
	return errors.Is(err, core.ErrIgnored) || e.ClosedChannel() && e.OverRequest() && !e.MayBeOver(m.ID())
}

// queue returns the present name of a queue; "" is the one declared last.
func (ch *Channel) queue(name string) (string, error) {
	if name == "" {
		ch.mu.Lock()
		name = ch.lastQueue
		ch.mu.Unlock()
		if name == "" {
			return "", &core.ValidationError{Method: "queue", Err: errNoQueue}
		}
	}
	return ch.conn.Resolve(name), nil
}

var errNoQueue = errors.New(`no queue name, and no queue was declared on this channel that "" could mean`)

// ExchangeDeclare is [core.Channel.ExchangeDeclare]; unless Passive it is recorded.
func (ch *Channel) ExchangeDeclare(ctx context.Context, m core.ExchangeDeclare) error {
	return ch.call(ctx, &m, func(physical *core.Channel) error {
		err := physical.ExchangeDeclare(ctx, m)
		if err == nil && !m.Passive {
			ch.conn.Record(physical.Conn(), topology.Exchange{
				Name: m.Exchange, Type: m.Type, Transient: !m.Durable, AutoDelete: m.AutoDelete, Internal: m.Internal, Arguments: m.Arguments,
			}, "")
		}
		return err
	})
}

// ExchangeDelete is [core.Channel.ExchangeDelete]; the exchange is forgotten.
func (ch *Channel) ExchangeDelete(ctx context.Context, m core.ExchangeDelete) error {
	err := ch.call(ctx, &m, func(physical *core.Channel) error { return physical.ExchangeDelete(ctx, m) })
	if err == nil {
		ch.conn.Forget(func(r *record.Recorder) { r.DeleteExchange(m.Exchange) })
	}
	return err
}

// ExchangeBind is [core.Channel.ExchangeBind]; it is recorded.
func (ch *Channel) ExchangeBind(ctx context.Context, m core.ExchangeBind) error {
	return ch.call(ctx, &m, func(physical *core.Channel) error {
		err := physical.ExchangeBind(ctx, m)
		if err == nil {
			ch.conn.Record(physical.Conn(), topology.Binding{
				Source: m.Source, Destination: m.Destination, ToExchange: true, RoutingKey: m.RoutingKey, Arguments: m.Arguments,
			}, "")
		}
		return err
	})
}

// ExchangeUnbind is [core.Channel.ExchangeUnbind]; the binding is forgotten.
func (ch *Channel) ExchangeUnbind(ctx context.Context, m core.ExchangeUnbind) error {
	err := ch.call(ctx, &m, func(physical *core.Channel) error { return physical.ExchangeUnbind(ctx, m) })
	if err == nil {
		b := topology.Binding{Source: m.Source, Destination: m.Destination, ToExchange: true, RoutingKey: m.RoutingKey, Arguments: m.Arguments}
		ch.conn.Forget(func(r *record.Recorder) { r.DeleteBinding(b) })
	}
	return err
}

// QueueDeclare is [core.Channel.QueueDeclare]; unless Passive it is recorded.
// With NoWait and an empty name it is refused: nobody would learn the name.
func (ch *Channel) QueueDeclare(ctx context.Context, m core.QueueDeclare) (core.QueueDeclareOk, error) {
	var ok core.QueueDeclareOk
	var on *core.Conn
	if m.NoWait && m.Queue == "" {
		return ok, &core.ValidationError{Method: m.ID().String(), Err: errNoName}
	}
	m.Queue = ch.conn.Resolve(m.Queue)
	err := ch.call(ctx, &m, func(physical *core.Channel) (err error) {
		on = physical.Conn()
		ok, err = physical.QueueDeclare(ctx, m)
		return err
	})
	if err != nil {
		return ok, err
	}
	ch.mu.Lock()
	ch.lastQueue = ok.Queue
	ch.mu.Unlock()
	if strings.HasPrefix(m.Queue, "amq.") {
		m.Queue = "" // the broker chose it: it can't be declared by this name
	}
	if !m.Passive {
		q := topology.Queue{Name: m.Queue, Transient: !m.Durable, Exclusive: m.Exclusive, AutoDelete: m.AutoDelete, Arguments: m.Arguments}
		ch.conn.Record(on, q, ok.Queue)
	}
	return ok, nil
}

var errNoName = errors.New("a queue that the broker is to name cannot be declared with no-wait")

// QueueBind is [core.Channel.QueueBind]; it is recorded.
func (ch *Channel) QueueBind(ctx context.Context, m core.QueueBind) error {
	return ch.bind(ctx, &m, &m.Queue, &m.RoutingKey, func(physical *core.Channel) error {
		err := physical.QueueBind(ctx, m)
		if err == nil {
			ch.conn.Record(physical.Conn(), topology.Binding{
				Source: m.Exchange, Destination: m.Queue, RoutingKey: m.RoutingKey, Arguments: m.Arguments,
			}, "")
		}
		return err
	})
}

// QueueUnbind is [core.Channel.QueueUnbind]; the binding is forgotten.
func (ch *Channel) QueueUnbind(ctx context.Context, m core.QueueUnbind) error {
	err := ch.bind(ctx, &m, &m.Queue, &m.RoutingKey, func(physical *core.Channel) error { return physical.QueueUnbind(ctx, m) })
	if err == nil {
		b := topology.Binding{Source: m.Exchange, Destination: m.Queue, RoutingKey: m.RoutingKey, Arguments: m.Arguments}
		ch.conn.Forget(func(r *record.Recorder) { r.DeleteBinding(b) })
	}
	return err
}

// bind calls f with the queue named, and the key too where both are empty:
// they then mean the last queue's name (specification, queue.bind).
func (ch *Channel) bind(ctx context.Context, m wire.Method, queue, key *string, f func(*core.Channel) error) error {
	asked, noKey := *queue, *queue == "" && *key == ""
	return ch.call(ctx, m, func(physical *core.Channel) (err error) {
		if *queue, err = ch.queue(asked); err != nil {
			return err
		}
		if noKey {
			*key = *queue
		}
		return f(physical)
	})
}

// QueuePurge is [core.Channel.QueuePurge].
func (ch *Channel) QueuePurge(ctx context.Context, m core.QueuePurge) (messages int, err error) {
	asked := m.Queue
	err = ch.call(ctx, &m, func(physical *core.Channel) (err error) {
		if m.Queue, err = ch.queue(asked); err == nil {
			messages, err = physical.QueuePurge(ctx, m)
		}
		return err
	})
	return messages, err
}

// QueueDelete is [core.Channel.QueueDelete]; the queue and its bindings are forgotten.
func (ch *Channel) QueueDelete(ctx context.Context, m core.QueueDelete) (messages int, err error) {
	asked := m.Queue
	err = ch.call(ctx, &m, func(physical *core.Channel) (err error) {
		if m.Queue, err = ch.queue(asked); err == nil {
			messages, err = physical.QueueDelete(ctx, m)
		}
		return err
	})
	if err == nil {
		ch.conn.Forget(func(r *record.Recorder) { r.DeleteQueue(m.Queue) })
	}
	return messages, err
}

// Flow is [core.Channel.Flow]. It is not repeated on a new physical channel.
func (ch *Channel) Flow(ctx context.Context, active bool) (is bool, err error) {
	err = ch.call(ctx, &wire.ChannelFlow{}, func(physical *core.Channel) (err error) {
		is, err = physical.Flow(ctx, active)
		return err
	})
	return is, err
}
