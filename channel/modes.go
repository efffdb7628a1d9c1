package channel

import (
	"context"
	"errors"

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
	if ch.modes.tx && ch.tx == nil && ch.physical == physical {
		ch.tx = physical
	}
	return ch.physical != nil && ch.physical != physical
}

// TxCommit is [core.Channel.TxCommit]. Errors: also [ErrTxLost], after which a
// new transaction has begun; it is joined with the cause if the broker closed
// the channel over what came before the commit.
func (ch *Channel) TxCommit(ctx context.Context) error {
	return ch.endTx(ctx, &wire.TxCommit{}, func(physical *core.Channel) error { return physical.TxCommit(ctx) }, ErrTxLost)
}

// TxRollback is [core.Channel.TxRollback]. A transaction that was lost with
// its channel is rolled back already.
func (ch *Channel) TxRollback(ctx context.Context) error {
	return ch.endTx(ctx, &wire.TxRollback{}, func(physical *core.Channel) error { return physical.TxRollback(ctx) }, nil)
}

// endTx ends the transaction where it runs. It is not repeated on the next
// physical channel, which knows nothing of what was done on the last one.
func (ch *Channel) endTx(ctx context.Context, m wire.Method, do func(*core.Channel) error, lost error) error {
	physical, err := ch.ready(ctx)
	if err != nil {
		return err
	}
	if ch.nextTx(physical) {
		return lost
	}
	err = do(physical)
	if physical.Err() != nil {
		ch.nextTxAfter(physical)
	}
	switch {
	case err == nil || !ignored(m, err):
		return err
	case lost == nil:
		return nil
	}
	return errors.Join(lost, err)
}

// nextTx has the next transaction run on physical. It reports whether the one
// before ran on another, and went with it.
func (ch *Channel) nextTx(physical *core.Channel) (lost bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	lost = ch.tx != nil && ch.tx != physical
	if ch.modes.tx {
		ch.tx = physical
	}
	return lost
}

// nextTxAfter has the next transaction run on the physical channel that follows
// one that died over the end of the last.
func (ch *Channel) nextTxAfter(dead *core.Channel) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.tx != dead {
		return
	}
	ch.tx = nil
	if ch.physical != dead {
		ch.tx = ch.physical
	}
}

// inTx fails if the transaction ran on another channel than physical, since
// half of it is gone.
func (ch *Channel) inTx(physical *core.Channel) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.tx != nil && ch.tx != physical {
		return ErrTxLost
	}
	return nil
}
