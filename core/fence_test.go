package core

import (
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core/wire"
)

// ways are all the ways to settle a delivery.
var ways = map[string]func(d *Delivery) error{
	"Ack":     (*Delivery).Ack,
	"AckAll":  (*Delivery).AckAll,
	"Nack":    func(d *Delivery) error { return d.Nack(true) },
	"NackAll": func(d *Delivery) error { return d.NackAll(true) },
	"Reject":  func(d *Delivery) error { return d.Reject(false) },
}

// What must not be settled is not, in whatever way: nothing is written.
func TestWhatMustNotBeSettledIsNotInAnyWay(t *testing.T) {
	states := map[string]struct {
		reach func(t *testing.T, ch *Channel, p *peer, d []*Delivery)
		want  error
	}{
		"the server took the consumer away": {func(t *testing.T, ch *Channel, p *peer, d []*Delivery) {
			p.send(ch.ID(), &wire.BasicCancel{ConsumerTag: "c", NoWait: true})
			want[*wire.BasicCancel](p, ch.ID())
		}, ErrStale},
		"the channel is dead": {func(t *testing.T, ch *Channel, p *peer, d []*Delivery) {
			p.send(ch.ID(), &wire.ChannelClose{ReplyCode: 406})
			want[*wire.ChannelCloseOk](p, ch.ID())
		}, ErrStale},
		"a recover is under way": {func(t *testing.T, ch *Channel, p *peer, d []*Delivery) {
			go func() { _ = ch.Recover(bg, BasicRecover{Requeue: true}) }()
			want[*wire.BasicRecover](p, ch.ID())
		}, ErrStale},
		"a recover was answered": {func(t *testing.T, ch *Channel, p *peer, d []*Delivery) {
			p.answered(async0(func() error { return ch.Recover(bg, BasicRecover{Requeue: true}) }), &wire.BasicRecoverOk{})
		}, ErrStale},
		"all are settled": {func(t *testing.T, ch *Channel, p *peer, d []*Delivery) {
			noErr(t, d[2].AckAll())
			settlements(p)
		}, ErrSettled},
		"all are settled, on a channel that does not know": {func(t *testing.T, ch *Channel, p *peer, d []*Delivery) {
			ch.acks.sendSingly()
			noErr(t, d[2].AckAll())
			settlements(p)
		}, ErrSettled},
		"all are settled in a transaction": {func(t *testing.T, ch *Channel, p *peer, d []*Delivery) {
			p.answered(async0(func() error { return ch.TxSelect(bg) }), &wire.TxSelectOk{})
			noErr(t, d[2].NackAll(false))
			settlements(p)
		}, ErrSettled},
		"all are settled in one that was committed": {func(t *testing.T, ch *Channel, p *peer, d []*Delivery) {
			p.answered(async0(func() error { return ch.TxSelect(bg) }), &wire.TxSelectOk{})
			noErr(t, d[2].AckAll())
			p.answered(async0(func() error { return ch.TxCommit(bg) }), &wire.TxCommitOk{})
		}, ErrSettled},
		"all are settled one by one": {func(t *testing.T, ch *Channel, p *peer, d []*Delivery) {
			ackAll(d...)
			settlements(p)
		}, ErrSettled},
		"it was released": {func(t *testing.T, ch *Channel, p *peer, d []*Delivery) {
			for i := range d {
				noErr(t, d[i].Ack())
				d[i].Release()
			}
			settlements(p)
		}, errNoChannel},
	}
	for state, s := range states {
		for way, settle := range ways {
			t.Run(way+", "+state, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					d, ch, p := held(t, 3)
					s.reach(t, ch, p, d)
					synctest.Wait()
					for _, d := range d {
						mustIs(t, settle(d), s.want)
					}
					if sent := settlements(p); sent != "" {
						t.Errorf("sent %q", sent)
					}
				})
			})
		}
	}
}

// What was rolled back can be settled once more, in any way.
func TestARolledBackMultipleCanBeDoneAgain(t *testing.T) {
	for way, settle := range ways {
		t.Run(way, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d, ch, p := transactional(t, 3)
				noErr(t, d[1].AckAll())
				p.answered(async0(func() error { return ch.TxRollback(bg) }), &wire.TxRollbackOk{})
				for _, d := range d {
					noErr(t, settle(d))
				}
				if sent := settlements(p); sent == "" {
					t.Error("nothing was sent")
				}
			})
		})
	}
}

// Some of those before it may be settled: the broker is told of the others.
func TestAckAllBehindSomeThatAreSettled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, _, p := held(t, 4)
		noErr(t, d[1].Ack())
		noErr(t, d[2].Ack())
		noErr(t, d[2].AckAll()) // itself settled: d[0] is left
		mustIs(t, d[0].Ack(), ErrSettled)
		noErr(t, d[3].NackAll(true))
		if sent := settlements(p); sent != "ack 2 ack 3 ack 1+ nack 4+r " {
			t.Errorf("sent %q", sent)
		}
	})
}
