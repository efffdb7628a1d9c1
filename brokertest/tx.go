package brokertest

import (
	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// transaction holds what a transactional channel has done since its last commit.
type transaction struct {
	publishes   []publication
	settlements []settlement
}

// settlement is an ack, nack or reject that waits for its commit.
type settlement struct {
	delivery delivery
	verdict  state.Verdict
}

// abandon gives back the messages whose settlement was not committed.
func (tx *transaction) abandon() {
	for _, s := range tx.settlements {
		s.delivery.settle(state.Return)
	}
}

func (ch *channel) txSelect() *state.Refusal {
	if ch.confirms.on {
		return state.Refuse(state.PreconditionFailed, "cannot switch from confirm to tx mode")
	}
	if ch.tx == nil {
		ch.tx = &transaction{}
	}
	return ch.reply(false, &wire.TxSelectOk{})
}

func (ch *channel) txCommit() *state.Refusal {
	if ch.tx == nil {
		return state.Refuse(state.PreconditionFailed, "channel is not transactional")
	}
	tx := ch.tx
	ch.tx = &transaction{}
	rejected := false
	for _, p := range tx.publishes {
		out := ch.deliver(p)
		if out.Unfit {
			return nil
		}
		rejected = out.Rejected || rejected
	}
	for _, s := range tx.settlements {
		s.delivery.settle(s.verdict)
	}
	if rejected {
		return state.Refuse(state.PreconditionFailed, "partial tx completion")
	}
	if len(tx.publishes) == 0 {
		return ch.reply(false, &wire.TxCommitOk{})
	}
	return ch.commitLate()
}

func (ch *channel) txRollback() *state.Refusal {
	if ch.tx == nil {
		return state.Refuse(state.PreconditionFailed, "channel is not transactional")
	}
	var back []delivery
	for _, s := range ch.tx.settlements {
		back = append(back, s.delivery)
	}
	ch.unacked.putBack(back)
	ch.tx = &transaction{}
	return ch.reply(false, &wire.TxRollbackOk{})
}
