package recovery

import (
	"context"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
)

// Qos is [core.Channel.Qos]; it is in force on every later physical channel.
// Consumers are brought back with what was in force when they were started.
func (ch *Channel) Qos(ctx context.Context, m core.BasicQos) error {
	return ch.change(ctx, &m, func(physical *core.Channel) error { return physical.Qos(ctx, m) }, func(modes *modes) {
		if m.Global {
			modes.global, modes.hasGlobal = m, true
		} else {
			modes.qos, modes.hasQos = m, true
		}
	})
}

// Confirm is [core.Channel.Confirm]; every later physical channel is in
// confirm mode before anything can be published on it.
func (ch *Channel) Confirm(ctx context.Context, m core.ConfirmSelect) error {
	return ch.change(ctx, &m, func(physical *core.Channel) error { return physical.Confirm(ctx, m) }, func(modes *modes) {
		modes.confirm = true
	})
}

// TxSelect is [core.Channel.TxSelect]; every later physical channel is
// transactional before anything can be published on it.
func (ch *Channel) TxSelect(ctx context.Context) error {
	return ch.change(ctx, &wire.TxSelect{}, func(physical *core.Channel) error { return physical.TxSelect(ctx) }, func(modes *modes) {
		modes.tx = true
	})
}

// change changes how physical channels are set up: the present one by do, and
// once that has succeeded later ones by what note notes.
func (ch *Channel) change(ctx context.Context, m wire.Method, do func(*core.Channel) error, note func(*modes)) error {
	for {
		var missed bool
		err := ch.call(ctx, m, func(physical *core.Channel) error {
			if err := ch.takeTurn(ctx); err != nil {
				return err
			}
			defer ch.endTurn()
			if err := do(physical); err != nil {
				return err
			}
			missed = ch.note(physical, note)
			return nil
		})
		if err != nil || !missed {
			return err
		}
	}
}

// note changes the modes after physical was put into them. It reports whether
// another physical channel has come into use without them meanwhile; one that
// is being set up looks again before it does.
func (ch *Channel) note(physical *core.Channel, note func(*modes)) (missed bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	note(&ch.modes)
	ch.modes.version++
	return ch.physical != nil && ch.physical != physical
}

// TxCommit is [core.Channel.TxCommit]. Errors: also [ErrTxLost], after which a
// new transaction has begun.
func (ch *Channel) TxCommit(ctx context.Context) error {
	return ch.endTx(ctx, &wire.TxCommit{}, func(physical *core.Channel) error { return physical.TxCommit(ctx) }, ErrTxLost)
}

// TxRollback is [core.Channel.TxRollback]. A transaction that was lost with
// its channel is rolled back already.
func (ch *Channel) TxRollback(ctx context.Context) error {
	return ch.endTx(ctx, &wire.TxRollback{}, func(physical *core.Channel) error { return physical.TxRollback(ctx) }, nil)
}

func (ch *Channel) endTx(ctx context.Context, m wire.Method, do func(*core.Channel) error, lost error) error {
	return ch.call(ctx, m, func(physical *core.Channel) error {
		ch.mu.Lock()
		gone := ch.tx != nil && ch.tx != physical
		ch.tx = nil
		ch.mu.Unlock()
		if gone {
			return lost
		}
		return do(physical)
	})
}

// inTx notes that the transaction has begun on physical; it fails if it had
// begun on another, since half of it is gone.
func (ch *Channel) inTx(physical *core.Channel) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	switch {
	case !ch.modes.tx:
		return nil
	case ch.tx != nil && ch.tx != physical:
		return ErrTxLost
	}
	ch.tx = physical
	return nil
}
