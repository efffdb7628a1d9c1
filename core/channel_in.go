package core

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// assembly is what only the reader goroutine touches of a channel.
type assembly struct {
	assembler
	deliver  wire.BasicDeliver
	getOk    *wire.BasicGetOk
	returned *wire.BasicReturn
	last     *Consumer // the consumer that got the latest delivery
	tag      uint64    // the latest delivery tag
}

// onFrame handles one frame of the channel, on the reader goroutine. An error
// ends the connection.
func (ch *Channel) onFrame(f wire.Frame, in *inbound) error {
	if ch.dead.Load() {
		return ch.afterDeath(f)
	}
	if err := ch.in.fits(f.Type); err != nil {
		return err
	}
	switch f.Type {
	case wire.FrameMethod:
		return ch.onMethod(f.Payload, in)
	case wire.FrameHeader:
		h, err := in.dec.Header(f.Payload)
		if err != nil {
			return err
		}
		complete, err := ch.in.header(h, ch.maySkip())
		return ch.onContent(complete, err, in)
	default:
		complete, err := ch.in.body(f.Payload)
		return ch.onContent(complete, err, in)
	}
}

// afterDeath ignores what the server sent before it knew that the channel is
// gone, and frees the id when it says that it knows.
func (ch *Channel) afterDeath(f wire.Frame) error {
	if f.Type != wire.FrameMethod {
		ch.conn.ignored.Add(1)
		return nil
	}
	id, _ := wire.PeekMethod(f.Payload)
	return ch.lateMethod(id)
}

func (ch *Channel) lateMethod(id wire.MethodID) error {
	switch id {
	case wire.MethodChannelCloseOk:
		ch.conn.free(ch)
	case wire.MethodChannelClose:
		return ch.onLateClose()
	default:
		ch.conn.ignored.Add(1)
	}
	return nil
}

// onClosedChannel handles a frame on an id that no channel has. If one had it,
// the server may close it once more, or answer a close twice: that harms nobody.
func (c *Conn) onClosedChannel(f wire.Frame) error {
	c.mu.Lock()
	used := c.ids.used(f.Channel)
	c.mu.Unlock()
	id, _ := wire.PeekMethod(f.Payload)
	switch {
	case !used || f.Type != wire.FrameMethod:
	case id == wire.MethodChannelCloseOk:
		c.ignored.Add(1)
		return nil
	case id == wire.MethodChannelClose:
		return c.out.answer(f.Channel, nil, &wire.ChannelCloseOk{})
	}
	return errNoSuchChannel(f.Channel)
}

// onLateClose answers a server's close that crossed ours, whose answer is
// still to come. If the channel was given up inside a content, ours was to
// follow that: now neither its rest nor the close may follow.
func (ch *Channel) onLateClose() error {
	ch.mu.Lock()
	unsent := ch.streaming && !ch.serverClosed
	if unsent {
		ch.serverClosed = true
		ch.conn.out.abort(ch.id)
	}
	err := ch.conn.out.answer(ch.id, nil, &wire.ChannelCloseOk{})
	ch.mu.Unlock()
	if unsent {
		ch.conn.free(ch)
	}
	return err
}

func (ch *Channel) onMethod(payload []byte, in *inbound) error {
	id, _ := wire.PeekMethod(payload)
	switch id { // the hot ones first, without allocation
	case wire.MethodBasicDeliver:
		if err := in.dec.Deliver(payload, &ch.in.deliver); err != nil {
			return err
		}
		ch.in.begin(id)
		return nil
	case wire.MethodBasicAck:
		if err := in.dec.Ack(payload, &in.ack); err != nil {
			return err
		}
		return ch.onConfirm(in, in.ack.DeliveryTag, in.ack.Multiple, OutcomeConfirmed)
	}
	if err := in.handOver(); err != nil { // what came before takes effect before
		return err
	}
	m, err := in.dec.Method(payload)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *wire.BasicNack: // the requeue bit means nothing here; RabbitMQ sets it
		return ch.onConfirm(in, m.DeliveryTag, m.Multiple, OutcomeNacked)
	case *wire.BasicReturn:
		ch.in.returned = m
		ch.in.begin(id)
	case *wire.BasicGetOk:
		ch.in.getOk = m
		ch.in.begin(id)
	case *wire.BasicCancel:
		return ch.onServerCancel(m)
	case *wire.ChannelFlow:
		return ch.answer(&wire.ChannelFlowOk{Active: ch.setFlow(m.Active)})
	case *wire.ChannelClose:
		ch.onServerClose(m)
	default:
		return ch.onReply(m, nil)
	}
	return nil
}

func (ch *Channel) onServerClose(m *wire.ChannelClose) {
	cause := &Error{
		Code: Code(m.ReplyCode), Text: m.ReplyText, Scope: ScopeChannel, Server: true,
		Method: failedMethod(m.ClassID, m.MethodID), Channel: ch.id,
	}
	// Whatever is written from now on is ignored by the server, so a publish
	// that still waits to be written counts as not sent.
	sent := ch.conn.out.sent()
	ch.mu.Lock()
	ours := ch.closing
	ch.closing, ch.serverClosed = true, true
	ch.conn.out.abort(ch.id)
	_ = ch.conn.out.closing(farewell{acks: ch.acks}, &wire.ChannelCloseOk{}, because(ErrStale, cause)) // fails only on a dead connection
	ch.end(cause, sent)
	if !ours {
		ch.conn.free(ch)
	}
}

// answer sends what the server's frames call for, behind a body that is being
// streamed and the answer to a commit. The error is a fault of the server.
func (ch *Channel) answer(m wire.Method) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	switch {
	case ch.err != nil || ch.closing:
		return nil
	case !ch.streaming && !ch.committing:
		return ch.sendAnswerLocked(m)
	case len(ch.deferred) == maxDeferred:
		return errAnswersUnread
	}
	ch.deferred = append(ch.deferred, m)
	return nil
}

// maxDeferred bounds the answers that wait for the end of one streamed body.
const maxDeferred = 1000

func (ch *Channel) sendDeferred() error {
	for _, m := range ch.deferred {
		if err := ch.sendAnswerLocked(m); err != nil {
			return err
		}
	}
	ch.deferred = nil
	return nil
}

// sendAnswerLocked sends m, and leaves an answer to the reader.
func (ch *Channel) sendAnswerLocked(m wire.Method) error {
	err := ch.conn.out.answer(ch.id, ch.acks, m)
	if err == nil && len(wire.Replies(m.ID())) > 0 {
		ch.awaitLocked(m, newPending(m))
	}
	return err
}

// onReply hands a reply to the RPC that it answers.
func (ch *Channel) onReply(m wire.Method, d *Delivery) error {
	ch.mu.Lock()
	if ch.err != nil { // given up in this instant
		ch.mu.Unlock()
		return ch.lateMethod(m.ID())
	}
	i := answered(ch.calls, m)
	if i < 0 {
		ch.mu.Unlock()
		return unexpected(m)
	}
	p := ch.calls[i]
	if m, ok := m.(*wire.BasicConsumeOk); ok {
		if err := ch.addConsumerLocked(p.consumer, m.ConsumerTag); err != nil {
			ch.mu.Unlock()
			return err // which ends p with everything else
		}
	}
	if d != nil && p.noAck {
		d.settled.Store(true)
	}
	if i == 0 {
		ch.calls = ch.calls[1:] // as a rule
	} else {
		ch.calls = slices.Delete(ch.calls, i, i+1)
	}
	ch.progress = time.Now()
	orphan, ended := p.orphan, !isCancelled(ch.calls, p.consumer)
	ch.mu.Unlock()
	switch m.ID() { // a waiter finds it done
	case wire.MethodBasicCancelOk:
		if ended {
			ch.remove(p.consumer)
		}
	case wire.MethodTxCommitOk, wire.MethodTxRollbackOk:
		if err := ch.txEnded(m.ID()); err != nil {
			return err
		}
	case wire.MethodBasicRecoverOk:
		ch.onRecoverOk()
	case wire.MethodChannelCloseOk:
		ch.die(ErrClosed, math.MaxUint64)
		ch.conn.free(ch)
	}
	p.succeed(m, d)
	if orphan {
		return ch.discard(m, d)
	}
	return nil
}

// discard undoes what a late reply did that nobody waits for.
func (ch *Channel) discard(m wire.Method, d *Delivery) error {
	if d != nil && errors.Is(d.Nack(true), ErrSettled) { // or the channel died, which requeues it too
		ch.conn.dropped.Add(1)
	}
	if m, ok := m.(*wire.BasicConsumeOk); ok {
		ch.dismiss(m.ConsumerTag, true)
		return ch.answer(&wire.BasicCancel{ConsumerTag: m.ConsumerTag})
	}
	return nil
}

// onServerCancel ends a consumer that the server cancelled. It is answered
// with a basic.cancel of this side: RabbitMQ 4.3 keeps a consumer whose ack
// timed out until then, and takes a cancel-ok in the ordinary case (queue
// deleted) as a fault of the connection. A tag that this side has cancelled
// before is answered by that.
func (ch *Channel) onServerCancel(m *wire.BasicCancel) error {
	ch.acks.sendSingly() // its deliveries are never acked: no prefix may cover them
	if !ch.removeConsumer(m.ConsumerTag, because(ErrCancelled, fmt.Errorf("tag %q", m.ConsumerTag)), true) {
		ch.conn.ignored.Add(1)
		return nil
	}
	return ch.answer(&wire.BasicCancel{ConsumerTag: m.ConsumerTag})
}

func (ch *Channel) onConfirm(in *inbound, tag uint64, multiple bool, o Outcome) error {
	ch.mu.Lock()
	if ch.mode != modeConfirm {
		ch.mu.Unlock()
		return unexpected(&wire.BasicAck{})
	}
	verdicts, err := ch.confirms.settle(in.verdicts[:0], tag, multiple, o)
	ch.unmarked = false // a return comes before the next confirm
	ch.changed.Wake()
	ch.mu.Unlock()
	for _, v := range verdicts {
		v.settler.Settle(v.verdict)
	}
	if len(verdicts) == 0 && err == nil && !(multiple && tag == 0) {
		ch.conn.ignored.Add(1)
	}
	clear(verdicts)
	in.verdicts = verdicts
	if err != nil {
		return fault(ErrCommandInvalid, "%v", err)
	}
	return nil
}
