package core

import (
	"context"

	"github.com/warren-mq/warren/core/wire"
)

// The arguments of the methods below, with the specification's names. They
// are the same types as in package wire, where each field is explained.
type (
	Method     = wire.Method
	Table      = wire.Table
	Decimal    = wire.Decimal
	Properties = wire.Properties

	ExchangeDeclare   = wire.ExchangeDeclare
	ExchangeDelete    = wire.ExchangeDelete
	ExchangeBind      = wire.ExchangeBind
	ExchangeUnbind    = wire.ExchangeUnbind
	QueueDeclare      = wire.QueueDeclare
	QueueDeclareOk    = wire.QueueDeclareOk
	QueueBind         = wire.QueueBind
	QueueUnbind       = wire.QueueUnbind
	QueuePurge        = wire.QueuePurge
	QueueDelete       = wire.QueueDelete
	BasicQos          = wire.BasicQos
	BasicConsume      = wire.BasicConsume
	BasicCancel       = wire.BasicCancel
	BasicGet          = wire.BasicGet
	BasicRecover      = wire.BasicRecover
	BasicRecoverAsync = wire.BasicRecoverAsync
	ConfirmSelect     = wire.ConfirmSelect
)

// ExchangeDeclare creates an exchange, or with Passive checks that it exists.
// Refusals close the channel: [ErrNotFound] (passive), [ErrAccessRefused]
// (reserved name), [ErrPreconditionFailed] (exists otherwise).
func (ch *Channel) ExchangeDeclare(ctx context.Context, m ExchangeDeclare) error {
	return do[*wire.ExchangeDeclareOk](ctx, ch, &m, m.NoWait)
}

// ExchangeDelete deletes an exchange. RabbitMQ accepts a missing one.
func (ch *Channel) ExchangeDelete(ctx context.Context, m ExchangeDelete) error {
	return do[*wire.ExchangeDeleteOk](ctx, ch, &m, m.NoWait)
}

// ExchangeBind routes from Source to Destination. (RabbitMQ extension.)
func (ch *Channel) ExchangeBind(ctx context.Context, m ExchangeBind) error {
	return do[*wire.ExchangeBindOk](ctx, ch, &m, m.NoWait)
}

// ExchangeUnbind removes what [Channel.ExchangeBind] added. (RabbitMQ extension.)
func (ch *Channel) ExchangeUnbind(ctx context.Context, m ExchangeUnbind) error {
	return do[*wire.ExchangeUnbindOk](ctx, ch, &m, m.NoWait)
}

// QueueDeclare creates a queue, or with Passive checks that it exists. The
// result holds its name (chosen by the broker if Queue is empty) and how many
// messages and consumers it has; with NoWait only the name asked for.
//
// Refusals close the channel: [ErrNotFound] (passive), [ErrAccessRefused]
// (reserved name), [ErrResourceLocked] (another connection's exclusive
// queue), [ErrPreconditionFailed] (exists with other arguments).
func (ch *Channel) QueueDeclare(ctx context.Context, m QueueDeclare) (QueueDeclareOk, error) {
	if m.NoWait {
		return QueueDeclareOk{Queue: m.Queue}, ch.tell(ctx, &m)
	}
	ok, err := call[*wire.QueueDeclareOk](ctx, ch, &m)
	if err != nil {
		return QueueDeclareOk{}, err
	}
	return *ok, nil
}

// QueueBind routes from an exchange to a queue; Queue "" is the one declared
// last on this channel.
func (ch *Channel) QueueBind(ctx context.Context, m QueueBind) error {
	return do[*wire.QueueBindOk](ctx, ch, &m, m.NoWait)
}

// QueueUnbind removes what [Channel.QueueBind] added. It has no NoWait form.
func (ch *Channel) QueueUnbind(ctx context.Context, m QueueUnbind) error {
	return do[*wire.QueueUnbindOk](ctx, ch, &m, false)
}

// QueuePurge drops the messages that are ready and returns how many, 0 with NoWait.
func (ch *Channel) QueuePurge(ctx context.Context, m QueuePurge) (messages int, err error) {
	if m.NoWait {
		return 0, ch.tell(ctx, &m)
	}
	ok, err := call[*wire.QueuePurgeOk](ctx, ch, &m)
	if err != nil {
		return 0, err
	}
	return int(ok.MessageCount), nil
}

// QueueDelete deletes a queue and returns how many messages it had, 0 with
// NoWait. RabbitMQ accepts a missing one.
func (ch *Channel) QueueDelete(ctx context.Context, m QueueDelete) (messages int, err error) {
	if m.NoWait {
		return 0, ch.tell(ctx, &m)
	}
	ok, err := call[*wire.QueueDeleteOk](ctx, ch, &m)
	if err != nil {
		return 0, err
	}
	return int(ok.MessageCount), nil
}

// Flow asks the broker to stop or resume deliveries on this channel.
// RabbitMQ refuses to stop (540); use a prefetch.
func (ch *Channel) Flow(ctx context.Context, active bool) (bool, error) {
	ok, err := call[*wire.ChannelFlowOk](ctx, ch, &wire.ChannelFlow{Active: active})
	if err != nil {
		return false, err
	}
	return ok.Active, nil
}

// Confirm puts the channel into confirm mode: every publish from now on gets
// a verdict, also one that is made while the call is under way, since it
// follows the request on the wire. Calling it again changes nothing. On a
// transactional channel it is refused with [ErrConfirmMode], as RabbitMQ does
// by closing the channel. (RabbitMQ, "Publisher Confirms".)
func (ch *Channel) Confirm(ctx context.Context, m ConfirmSelect) error {
	return ch.selectMode(ctx, &m, m.NoWait, modeConfirm)
}

// TxSelect makes the channel transactional: publishes and acks take effect
// with [Channel.TxCommit]. In confirm mode it is refused with [ErrConfirmMode].
func (ch *Channel) TxSelect(ctx context.Context) error {
	return ch.selectMode(ctx, &wire.TxSelect{}, false, modeTx)
}

// TxCommit makes everything since the last commit or rollback take effect.
// Until the answer comes nothing else leaves on this channel but a close: calls
// and publishes wait, and acks are held back, since RabbitMQ would close the
// connection over them.
func (ch *Channel) TxCommit(ctx context.Context) error {
	return do[*wire.TxCommitOk](ctx, ch, &wire.TxCommit{}, false)
}

// TxRollback undoes everything since the last commit or rollback: deliveries
// that were settled meanwhile are unsettled, and their receiver's to settle.
func (ch *Channel) TxRollback(ctx context.Context) error {
	return do[*wire.TxRollbackOk](ctx, ch, &wire.TxRollback{}, false)
}
