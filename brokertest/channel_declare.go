package brokertest

import (
	"strings"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// permit refuses what the user's permissions do not cover.
func (ch *channel) permit(a access, kind, name string) *state.Refusal {
	return ch.c.user.check(a, ch.c.vhost.Name, kind, name)
}

// permitAny refuses what none of the permissions covers, as for a passive declaration; RabbitMQ 4.0 refused none.
func (ch *channel) permitAny(kind, name string) *state.Refusal {
	if ch.c.b.before43() {
		return nil
	}
	for _, a := range []access{read, write} {
		if ch.permit(a, kind, name) == nil {
			return nil
		}
	}
	return ch.permit(configure, kind, name)
}

// first returns the first refusal.
func first(rs ...*state.Refusal) *state.Refusal {
	for _, r := range rs {
		if r != nil {
			return r
		}
	}
	return nil
}

// stripped is a name as RabbitMQ takes it, without line ends.
func stripped(name string) string {
	return strings.NewReplacer("\n", "", "\r", "").Replace(name)
}

func (ch *channel) exchangeDeclare(m *wire.ExchangeDeclare) *state.Refusal {
	name := stripped(m.Exchange)
	if m.Passive {
		if name == "" {
			return state.NotDefault(name)
		}
		if r := ch.permitAny("exchange", name); r != nil {
			return r
		}
		if _, r := ch.c.vhost.Exchange(name); r != nil {
			return r
		}
		return ch.reply(m.NoWait, &wire.ExchangeDeclareOk{})
	}
	r := first(ch.c.vhost.CheckExchangeType(m.Type), state.NotDefault(name), ch.permit(configure, "exchange", name))
	if r == nil && !ch.c.vhost.HasExchange(name) {
		r = ch.permitTarget("exchange", name, m.Arguments, "alternate-exchange")
	}
	if r == nil {
		r = ch.c.vhost.DeclareExchange(state.ExchangeSpec{Name: name, Type: m.Type, Durable: m.Durable,
			AutoDelete: m.AutoDelete, Internal: m.Internal, Arguments: m.Arguments})
	}
	if r != nil {
		return r
	}
	return ch.reply(m.NoWait, &wire.ExchangeDeclareOk{})
}

// permitTarget asks for what a declaration needs whose argument names an exchange to publish to.
func (ch *channel) permitTarget(kind, name string, args wire.Table, key string) *state.Refusal {
	target, ok := args[key].(string)
	if !ok {
		return nil
	}
	return first(ch.permit(read, kind, name), ch.permit(write, "exchange", target))
}

func (ch *channel) exchangeDelete(m *wire.ExchangeDelete) *state.Refusal {
	name := stripped(m.Exchange)
	r := first(state.NotDefault(name), ch.c.vhost.NotSystem(name), ch.permit(configure, "exchange", name))
	if r == nil {
		r = ch.c.vhost.DeleteExchange(name, m.IfUnused)
	}
	if r != nil {
		return r
	}
	return ch.reply(m.NoWait, &wire.ExchangeDeleteOk{})
}

func (ch *channel) exchangeBind(m *wire.ExchangeBind) *state.Refusal {
	spec := state.BindingSpec{Source: m.Source, Destination: m.Destination, ToExchange: true, Key: m.RoutingKey, Arguments: m.Arguments}
	if r := ch.binding(spec, ch.c.vhost.Bind); r != nil {
		return r
	}
	return ch.reply(m.NoWait, &wire.ExchangeBindOk{})
}

func (ch *channel) exchangeUnbind(m *wire.ExchangeUnbind) *state.Refusal {
	spec := state.BindingSpec{Source: m.Source, Destination: m.Destination, ToExchange: true, Key: m.RoutingKey, Arguments: m.Arguments}
	if r := ch.binding(spec, ch.c.vhost.Unbind); r != nil {
		return r
	}
	return ch.reply(m.NoWait, &wire.ExchangeUnbindOk{})
}

// binding checks permissions, then binds or unbinds.
func (ch *channel) binding(spec state.BindingSpec, act func(state.BindingSpec) *state.Refusal) *state.Refusal {
	spec.Source, spec.Destination, spec.Owner = stripped(spec.Source), stripped(spec.Destination), ch.c
	kind := "queue"
	if spec.ToExchange {
		kind = "exchange"
	}
	if !spec.ToExchange && strings.HasPrefix(spec.Destination, state.DirectReply+".") {
		return state.Refuse(state.AccessRefused, "cannot bind or unbind to a volatile (direct reply-to) queue")
	}
	if r := ch.permit(write, kind, spec.Destination); r != nil {
		return r
	}
	if r := state.NotDefaultBinding(spec); r != nil {
		return r
	}
	if r := ch.permit(read, "exchange", spec.Source); r != nil {
		return r
	}
	if x, r := ch.c.vhost.Exchange(spec.Source); r == nil {
		if r := ch.c.user.checkTopic(read, ch.c.vhost.Name, x, spec.Key); r != nil {
			return r
		}
	}
	return act(spec)
}

// queueName returns what an empty name stands for.
func (ch *channel) queueName(name string) (string, *state.Refusal) {
	if name == "" && ch.queue == "" {
		return "", state.Refuse(state.NotFound, "no previously declared queue")
	}
	if name == "" {
		return ch.queue, nil
	}
	return name, nil
}

func (ch *channel) queueDeclare(m *wire.QueueDeclare) *state.Refusal {
	name := stripped(m.Queue)
	if isReplyQueue(name) {
		return ch.declareReplies(m)
	}
	q, r := ch.declare(name, m)
	if r != nil {
		return r
	}
	ch.queue = q.Name
	if m.NoWait {
		return nil
	}
	messages, consumers := q.Count()
	return ch.reply(false, &wire.QueueDeclareOk{Queue: q.Name, MessageCount: uint32(messages), ConsumerCount: uint32(consumers)})
}

func (ch *channel) declare(name string, m *wire.QueueDeclare) (*state.Queue, *state.Refusal) {
	v := ch.c.vhost
	if m.Passive {
		if r := ch.permitAny("queue", name); r != nil {
			return nil, r
		}
		return v.Queue(name, ch.c)
	}
	named := name
	if name == "" {
		named = v.NewName("amq.gen-")
	} else if r := state.CheckQueueName(name); r != nil {
		return nil, r
	}
	if r := ch.permit(configure, "queue", named); r != nil {
		return nil, r
	}
	if !v.HasQueue(named) {
		if r := ch.permitTarget("queue", named, m.Arguments, "x-dead-letter-exchange"); r != nil {
			return nil, r
		}
	}
	return v.DeclareQueue(state.QueueSpec{Name: name, Durable: m.Durable, Exclusive: m.Exclusive,
		AutoDelete: m.AutoDelete, Arguments: m.Arguments, Owner: ch.c})
}

func (ch *channel) queueBind(m *wire.QueueBind) *state.Refusal {
	if r := ch.queueBinding(m.Queue, m.Exchange, m.RoutingKey, m.Arguments, ch.c.vhost.Bind); r != nil {
		return r
	}
	return ch.reply(m.NoWait, &wire.QueueBindOk{})
}

func (ch *channel) queueUnbind(m *wire.QueueUnbind) *state.Refusal {
	if r := ch.queueBinding(m.Queue, m.Exchange, m.RoutingKey, m.Arguments, ch.c.vhost.Unbind); r != nil {
		return r
	}
	return ch.reply(false, &wire.QueueUnbindOk{})
}

// queueBinding binds or unbinds. It lets an empty queue, and then an empty key too, stand for the last declared
// queue.
func (ch *channel) queueBinding(queue, exchange, key string, args wire.Table, act func(state.BindingSpec) *state.Refusal) *state.Refusal {
	name, r := ch.queueName(queue)
	if r != nil {
		return r
	}
	if queue == "" && key == "" {
		key = name
	}
	return ch.binding(state.BindingSpec{Source: exchange, Destination: name, Key: key, Arguments: args}, act)
}

func (ch *channel) queuePurge(m *wire.QueuePurge) *state.Refusal {
	q, r := ch.usedQueue(m.Queue, read)
	if r != nil {
		return r
	}
	n, r := q.Purge()
	if r != nil {
		return r
	}
	return ch.reply(m.NoWait, &wire.QueuePurgeOk{MessageCount: uint32(n)})
}

// usedQueue returns a queue that the client may use.
func (ch *channel) usedQueue(name string, a access) (*state.Queue, *state.Refusal) {
	name, r := ch.queueName(name)
	if r == nil {
		r = ch.permit(a, "queue", name)
	}
	if r != nil {
		return nil, r
	}
	return ch.c.vhost.Queue(name, ch.c)
}

func (ch *channel) queueDelete(m *wire.QueueDelete) *state.Refusal {
	name, r := ch.queueName(m.Queue)
	if r == nil {
		r = ch.permit(configure, "queue", name)
	}
	if r != nil {
		return r
	}
	n, r := ch.c.vhost.DeleteQueue(stripped(name), ch.c, m.IfUnused, m.IfEmpty)
	if r != nil {
		return r
	}
	return ch.reply(m.NoWait, &wire.QueueDeleteOk{MessageCount: uint32(n)})
}
