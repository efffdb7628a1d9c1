package core

import (
	"strings"
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
		mustIs(t, d[0].Ack(), ErrSettled)                                             // until the broker has said so
		if s := settlements(p); s != "ack 1 *wire.TxRollback ack 2 *wire.TxCommit " { // behind which nothing may come yet
			t.Errorf("sent %q", s)
		}
		p.send(1, &wire.TxRollbackOk{}, &wire.TxCommitOk{})
		rollback.get(t)
		commit.get(t)
		if s := settlements(p); s != "ack 3 " {
			t.Errorf("sent %q", s)
		}
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

// RabbitMQ closes the connection over whatever comes before its answer to a commit.
func TestNothingFollowsACommitBeforeItsAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, ch, p := transactional(t, 3)
		commit := async0(func() error { return ch.TxCommit(bg) })
		want[*wire.TxCommit](p, 1)
		noErr(t, d[0].Ack())
		noErr(t, d[1].Nack(true))
		published := async0(func() error { return ch.Publish(bg, &Publishing{RoutingKey: "q"}) })
		declared := async0(func() error { return ch.QueueBind(bg, QueueBind{}) })
		p.send(1, &wire.ChannelFlow{Active: true})
		published.waits(t)
		declared.waits(t)
		p.quiet()
		p.send(1, &wire.TxCommitOk{})
		commit.get(t)
		published.get(t)
		synctest.Wait()
		sent := settlements(p)
		p.send(1, &wire.QueueBindOk{})
		declared.get(t)
		for _, one := range []string{"ack 1 nack 2r ", "*wire.ChannelFlowOk ", "*wire.BasicPublish ", "*wire.QueueBind "} {
			if !strings.Contains(sent, one) {
				t.Errorf("sent %q, without %q", sent, one)
			}
		}
		noErr(t, d[2].Ack())
		if sent := settlements(p); sent != "ack 3 " {
			t.Errorf("sent %q", sent)
		}
	})
}

// A close need not wait; the acks that did are lost with the channel, and their messages come again.
func TestACloseDoesNotWaitForACommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, ch, p := transactional(t, 1)
		commit := async0(func() error { return ch.TxCommit(bg) })
		want[*wire.TxCommit](p, 1)
		noErr(t, d[0].Ack())
		closed := async0(func() error { return ch.Close(bg) })
		want[*wire.ChannelClose](p, 1)
		p.send(1, &wire.ChannelCloseOk{})
		closed.get(t)
		mustIs(t, commit.fail(t), ErrClosed)
		noErr(t, ch.Conn().Err())
	})
}
