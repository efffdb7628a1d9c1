package core

import (
	"context"
	"slices"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/gate"
)

// Reply is an answer that is still to come.
type Reply struct {
	ch *Channel
	p  *pending
}

// Request sends a method that the broker answers, without waiting: several
// may be in flight, and their replies come in order. If the broker refuses
// one it closes the channel, so the first Wait that fails names the offender.
//
// It is what the typed methods are made of; they wait. What changes more than
// the broker's state has only its typed method: basic.consume, basic.get, the
// modes, closing. Those, and NoWait, are refused with a [*ValidationError].
func (ch *Channel) Request(ctx context.Context, m wire.Method) (*Reply, error) {
	if err := requestable(m); err != nil {
		return nil, &ValidationError{Method: m.ID().String(), Err: err}
	}
	return ch.request(ctx, m)
}

func (ch *Channel) request(ctx context.Context, m wire.Method) (*Reply, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	p := newPending(m)
	if err := ch.send(ctx, m, p); err != nil {
		return nil, err
	}
	return &Reply{ch, p}, nil
}

// Wait returns the reply, or why there is none: the channel's death, the end
// of ctx, or [ErrTimeout] when the broker has answered nothing on this channel
// for [Config.RPCTimeout]; the channel is then given up, since an answer that
// comes later could no longer be told from the next one's. While the request
// waits to leave, and other bytes do, the timeout has not begun.
func (r *Reply) Wait(ctx context.Context) (wire.Method, error) {
	patience := r.ch.conn.patience(r.ch.conn.cfg.RPCTimeout)
	patience.progress = r.ch.lastProgress
	m, err := r.p.wait(ctx, patience)
	if _, expired := err.(*unanswered); expired {
		r.ch.condemn(err)
		return nil, err
	}
	if err != nil && r.ch.abandon(r.p) {
		return nil, err
	}
	if err != nil { // the reply came in the same instant
		<-r.p.done
		m, err = r.p.reply, r.p.err
	}
	return m, err
}

// abandon notes that nobody waits for p any more: see [Channel] on the end of
// ctx. It reports false if p has its reply already.
func (ch *Channel) abandon(p *pending) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	p.orphan = true
	return slices.Contains(ch.calls, p)
}

func (ch *Channel) lastProgress() time.Time {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.progress
}

// send appends m to the outbox, and p, unless nil, to the RPCs in flight.
func (ch *Channel) send(ctx context.Context, m wire.Method, p *pending) error {
	toClose := m.ID() == wire.MethodChannelClose
	if err := ch.lockToSend(ctx, ch.conn.cfg.RPCTimeout, toClose); err != nil {
		return err
	}
	defer ch.mu.Unlock()
	var err error
	if toClose {
		err = ch.conn.out.closing(ch.farewellLocked(), m, because(ErrStale, ErrClosed))
		ch.closing = err == nil
	} else {
		err = ch.conn.out.method(ch.id, ch.acks, m)
	}
	if err != nil {
		return invalid(m.ID(), err)
	}
	ch.committing = ch.committing || m.ID() == wire.MethodTxCommit
	if p != nil {
		ch.awaitLocked(m, p)
	}
	return nil
}

// awaitLocked notes that m, which was just sent, has an answer to come.
func (ch *Channel) awaitLocked(m wire.Method, p *pending) {
	switch m := m.(type) {
	case *wire.BasicConsume:
		p.tag = m.ConsumerTag
	case *wire.BasicCancel:
		p.tag, p.consumer = m.ConsumerTag, ch.bearerLocked(m.ConsumerTag)
	case *wire.BasicQos:
		ch.setPrefetchLocked(m)
	}
	ch.calls = append(ch.calls, p)
}

// bearerLocked returns the consumer that the server knows by tag when it has read
// what was sent so far.
func (ch *Channel) bearerLocked(tag string) *Consumer {
	for c := range ch.startingLocked() {
		if c.tag == tag && tag != "" {
			return c
		}
	}
	return ch.consumers[tag]
}

// tell sends a method that has no answer. It waits, within ctx, while more
// than the write buffer holds is queued.
func (ch *Channel) tell(ctx context.Context, m wire.Method) error {
	if err := ch.conn.out.admitControl(ctx, ch.done); err != nil {
		return err
	}
	return ch.send(ctx, m, nil)
}

// lockToCall is lockToSend for what is no publish: it does not wait for a
// large message that has stood still for [Config.RPCTimeout], since a broker
// that blocks may leave it so for hours.
func (ch *Channel) lockToCall(ctx context.Context) error {
	return ch.lockToSend(ctx, ch.conn.cfg.RPCTimeout, false)
}

// lockToSend locks the channel when it may send: alive, not in the middle of a
// content, and, but for a close, not before the answer to a commit. It waits as
// long as that moves at least once in limit, 0 being no limit.
func (ch *Channel) lockToSend(ctx context.Context, limit time.Duration, toClose bool) error {
	for {
		ch.mu.Lock()
		switch {
		case ch.err != nil:
			defer ch.mu.Unlock()
			return ch.err
		case ch.closing:
			defer ch.mu.Unlock()
			return ErrClosed
		case !ch.streaming && (toClose || !ch.committing):
			return nil
		}
		changed := ch.changed.Wait()
		ch.mu.Unlock()
		if err := ch.conn.awaitMove(ctx, changed, limit); err != nil {
			return err
		}
	}
}

func (c *Conn) awaitMove(ctx context.Context, changed <-chan struct{}, limit time.Duration) error {
	moved, err := false, error(nil)
	if limit == 0 {
		err = gate.Await(ctx, changed)
	} else if moved, err = c.patienceAhead(limit).await(ctx, changed); !moved && err == nil {
		return errStandsStill
	}
	if err != nil {
		return gate.Waiting(err, "the end of a large message on this channel", nil)
	}
	return nil
}

// call sends a request and waits for its reply.
func call[R wire.Method](ctx context.Context, ch *Channel, m wire.Method) (R, error) {
	var none R
	r, err := ch.request(ctx, m)
	if err != nil {
		return none, err
	}
	reply, err := r.Wait(ctx)
	if err != nil {
		return none, err
	}
	return reply.(R), nil // the reader checked that it answers this request
}

// selectMode switches the channel's mode in the step that sends the request:
// whatever is published behind it on the wire is in the new mode already, as
// the broker handles both in this order.
func (ch *Channel) selectMode(ctx context.Context, m wire.Method, noWait bool, to mode) error {
	p := newPending(m)
	if err := ch.lockToCall(ctx); err != nil {
		return err
	}
	if ch.mode != modePlain && ch.mode != to {
		ch.mu.Unlock()
		return because(ErrConfirmMode, errOtherMode)
	}
	err := ch.conn.out.method(ch.id, ch.acks, m)
	if err == nil {
		if !noWait {
			ch.calls = append(ch.calls, p)
		}
		if to == modeConfirm && ch.mode != modeConfirm {
			ch.confirms = newConfirms()
		}
		ch.mode = to
	}
	ch.mu.Unlock()
	if err != nil || noWait {
		return invalid(m.ID(), err)
	}
	_, err = (&Reply{ch, p}).Wait(ctx)
	return err
}

// do runs an RPC whose reply says nothing, or sends it without a reply.
func do[R wire.Method](ctx context.Context, ch *Channel, m wire.Method, noWait bool) error {
	if noWait {
		return ch.tell(ctx, m)
	}
	_, err := call[R](ctx, ch, m)
	return err
}

// invalid wraps an encoding error; others pass.
func invalid(id wire.MethodID, err error) error {
	if _, ok := errs.AsType[*wire.FieldError](err); ok {
		return &ValidationError{Method: id.String(), Err: err}
	}
	return err
}

// requestable says what is wrong with m as an argument of [Channel.Request].
func requestable(m wire.Method) error {
	switch m := m.(type) {
	case *ExchangeDeclare:
		return waits(m.NoWait)
	case *ExchangeDelete:
		return waits(m.NoWait)
	case *ExchangeBind:
		return waits(m.NoWait)
	case *ExchangeUnbind:
		return waits(m.NoWait)
	case *QueueDeclare:
		return waits(m.NoWait)
	case *QueueBind:
		return waits(m.NoWait)
	case *QueuePurge:
		return waits(m.NoWait)
	case *QueueDelete:
		return waits(m.NoWait)
	case *BasicCancel:
		return waits(m.NoWait)
	case *BasicRecover:
		if !m.Requeue {
			return errNoRequeue
		}
		return nil
	case *QueueUnbind, *BasicQos, *wire.TxCommit, *wire.TxRollback:
		return nil
	}
	return errNotRequestable
}

func waits(noWait bool) error {
	if noWait {
		return errRequestNoWait
	}
	return nil
}
