package core

import (
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core/wire"
)

// transactional is held on a channel after tx.select.
func transactional(t *testing.T, n int) ([]*Delivery, *Channel, *peer) {
	t.Helper()
	d, ch, p := held(t, n)
	p.answered(async0(func() error { return ch.TxSelect(bg) }), &wire.TxSelectOk{})
	return d, ch, p
}

// answered reads what call sends on channel 1, the acks before it too, and answers it.
func (p *peer) answered(call *result[struct{}], reply wire.Method) (sent string) {
	p.t.Helper()
	sent = settlements(p)
	p.send(1, reply)
	call.get(p.t)
	return sent
}

// An ack that was rolled back is undone: no later one may cover it, and its
// delivery can be settled once more.
func TestRollbackUndoesAcks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, ch, p := transactional(t, 3)
		noErr(t, d[0].Ack())
		if s := p.answered(async0(func() error { return ch.TxRollback(bg) }), &wire.TxRollbackOk{}); s != "ack 1 *wire.TxRollback " {
			t.Errorf("sent %q", s)
		}
		p.nc.In().SetBuffer(0)
		noErr(t, ch.Conn().SendHeartbeat()) // so that what follows meets in the outbox
		synctest.Wait()
		ackAll(d[1], d[2])
		p.nc.In().SetBuffer(1 << 20)
		if s := settlements(p); s != "ack 2 ack 3 " {
			t.Errorf("sent %q", s)
		}
		noErr(t, d[0].Nack(true))
		for _, d := range d {
			mustIs(t, d.Ack(), ErrSettled)
		}
		if s := settlements(p); s != "nack 1r " {
			t.Errorf("sent %q", s)
		}
	})
}

func TestCommittedAcksStaySettled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, ch, p := transactional(t, 2)
		noErr(t, d[0].Ack())
		p.answered(async0(func() error { return ch.TxCommit(bg) }), &wire.TxCommitOk{})
		noErr(t, d[1].Ack())
		p.answered(async0(func() error { return ch.TxRollback(bg) }), &wire.TxRollbackOk{})
		mustIs(t, d[0].Ack(), ErrSettled)
		noErr(t, d[1].Ack())
		mustIs(t, d[1].Ack(), ErrSettled)
		if s := settlements(p); s != "ack 2 " {
			t.Errorf("sent %q", s)
		}
	})
}

// What is settled behind a rollback on the wire is not undone by it, though
// its answer comes later; and of a rollback and a commit in flight each ends
// what was settled before it.
func TestRollbackInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, ch, p := transactional(t, 3)
		noErr(t, d[0].Ack())
		rollback := async0(func() error { return ch.TxRollback(bg) })
		synctest.Wait()
		noErr(t, d[1].Ack())
		commit := async0(func() error { return ch.TxCommit(bg) })
		synctest.Wait()
		noErr(t, d[2].Ack())
		mustIs(t, d[0].Ack(), ErrSettled) // until the broker has said so
		if s := settlements(p); s != "ack 1 *wire.TxRollback ack 2 *wire.TxCommit ack 3 " {
			t.Errorf("sent %q", s)
		}
		p.send(1, &wire.TxRollbackOk{}, &wire.TxCommitOk{})
		rollback.get(t)
		commit.get(t)
		mustIs(t, d[1].Ack(), ErrSettled)
		mustIs(t, d[2].Ack(), ErrSettled)
		noErr(t, d[0].Ack())
	})
}

// Acks from before the transaction are final, and may be gathered.
func TestAcksBeforeTheTransaction(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, ch, p := held(t, 3)
		p.nc.In().SetBuffer(0)
		noErr(t, ch.Conn().SendHeartbeat())
		synctest.Wait()
		ackAll(d[0], d[1])
		begin := async0(func() error { return ch.TxSelect(bg) })
		synctest.Wait()
		p.nc.In().SetBuffer(1 << 20)
		if s := p.answered(begin, &wire.TxSelectOk{}); s != "ack 2+ *wire.TxSelect " {
			t.Errorf("sent %q", s)
		}
		noErr(t, d[2].Ack())
		p.answered(async0(func() error { return ch.TxRollback(bg) }), &wire.TxRollbackOk{})
		mustIs(t, d[0].Ack(), ErrSettled)
		noErr(t, d[2].Ack())
	})
}
