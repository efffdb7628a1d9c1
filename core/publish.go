package core

import (
	"context"
	"fmt"
	"math"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/gate"
)

// Publishing is a message on its way to an exchange. It is read during the
// call only; nothing of it is kept or changed. See [TagHeader] for what may be
// added on the wire.
type Publishing struct {
	Exchange   string // "" is the default exchange: RoutingKey names the queue
	RoutingKey string
	Mandatory  bool // have it returned if no queue takes it
	Immediate  bool // RabbitMQ refuses it: it is not sent there
	Properties Properties
	Body       []byte
}

// streamAbove is the body size above which a message is handed to the writer
// in parts, so that frames of other channels come in between and no buffer
// grows to the size of the message.
const streamAbove = 256 << 10

// streamPart is how much of it is queued at once, so that little of it is
// ahead of another channel's message.
const streamPart = 64 << 10

// MaxBody is the largest body that can be published at all: RabbitMQ's hard
// limit. Its configured limit is usually lower (16 MiB since 4.0), and it
// closes the channel with [ErrPreconditionFailed] above that; see MaxPublish
// in [Config], which refuses before.
const MaxBody = 512 << 20

// Publish queues a message to be written. It waits, within ctx, while the
// broker blocks the connection or the write buffer is full. A nil error says
// that it will be written unless the connection dies: nothing of its fate. On
// a channel in confirm mode the confirm is counted, not reported.
//
// Errors: [*ValidationError] before a byte was queued; the end of ctx, which is
// [ErrBlocked] too if the broker blocks then; the death of the channel. After an error nothing was sent, or, of a body
// above 256 KiB, a part that the broker drops: a message that was sent whole is no error, whatever became of its channel meanwhile.
func (ch *Channel) Publish(ctx context.Context, p *Publishing) error {
	return ch.publish(ctx, p, ignore{})
}

// ignore is the settler of publishes whose verdict nobody wants.
type ignore struct{}

func (ignore) Settle(Verdict) {}

// PublishTo is [Channel.Publish] on a channel in confirm mode, with the
// verdict given to s: exactly once if the error is nil, never if it is not. It
// may come before PublishTo has returned; p itself is not read any more then,
// though the end of a large body may be.
func (ch *Channel) PublishTo(ctx context.Context, p *Publishing, s Settler) error {
	if ch.currentMode() != modeConfirm {
		return because(ErrConfirmMode, errNeedsConfirm)
	}
	return ch.publish(ctx, p, s)
}

// PublishConfirm is [Channel.Publish] on a channel in confirm mode; the
// verdict is waited for on the confirmation.
func (ch *Channel) PublishConfirm(ctx context.Context, p *Publishing) (*Confirmation, error) {
	c := newConfirmation()
	if err := ch.PublishTo(ctx, p, c); err != nil {
		return nil, err
	}
	return c, nil
}

func (ch *Channel) publish(ctx context.Context, p *Publishing, s Settler) error {
	if limit := ch.conn.cfg.MaxPublish; uint64(len(p.Body)) > limit {
		return &ValidationError{Method: wire.MethodBasicPublish.String(), Err: fmt.Errorf("body of %d bytes, the connection's MaxPublish is %d", len(p.Body), limit)}
	}
	if err := cmpErr(p.unacceptable(), ch.unacceptableHere(p)); err != nil {
		return invalidPublish(err)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	for {
		if err := ch.conn.admit(ctx, math.MaxInt64, ch.done); err != nil {
			return err
		}
		if err := ch.lockToSend(ctx, 0, false); err != nil {
			return err
		}
		if ch.paused || ch.mode == modeConfirm && ch.confirms.full(ch.conn.cfg.ConfirmWindow) {
			confirmed, what := ch.changed.Wait(), ch.hindranceLocked()
			ch.mu.Unlock()
			if err := gate.Await(ctx, confirmed); err != nil {
				return ch.conn.whileBlocked(gate.Waiting(err, what, nil))
			}
			continue
		}
		streamed, err := ch.appendLocked(p, s)
		ch.mu.Unlock() // the verdict may come now
		if streamed {
			return ch.stream(ctx, p.Body)
		}
		return err
	}
}

// hindranceLocked says what a publish waits for on a channel that may send.
func (ch *Channel) hindranceLocked() string {
	if ch.paused {
		return "the server to resume the channel (channel.flow)"
	}
	return fmt.Sprintf("confirms: %d publishes have none, the connection's ConfirmWindow is %d", ch.confirms.open, ch.conn.cfg.ConfirmWindow)
}

// appendLocked appends the message and, in confirm mode, its tag, in one step: tag
// order is wire order. If it is streamed its body follows.
func (ch *Channel) appendLocked(p *Publishing, s Settler) (streamed bool, err error) {
	streamed = len(p.Body) > streamAbove
	p, mark := ch.recognisableLocked(p)
	start, err := ch.conn.out.publish(ch.id, ch.acks, p, streamed)
	if err != nil {
		return false, invalid(wire.MethodBasicPublish, err)
	}
	if ch.mode == modeConfirm {
		ch.confirms.add(s, start, mark)
	}
	ch.streaming = streamed
	return streamed, nil
}

// stream appends the body in parts, each within the write buffer's budget. A
// content that has begun must be completed, or the connection is lost; so when
// ctx ends the rest is copied at once, beyond the budget.
func (ch *Channel) stream(ctx context.Context, body []byte) error {
	part := streamPart
	for len(body) > 0 {
		if part < len(body) && ch.conn.admit(ctx, streamPart, ch.done) != nil {
			part = len(body) // ctx ended, or the connection died: append tells
		}
		n := min(part, len(body))
		if done, err := ch.appendBody(body[:n], n == len(body)); done {
			return err
		}
		body = body[n:]
	}
	return nil
}

// appendBody appends a part of the body, and ends the stream after the last
// one or when the server has closed the channel. No error: the message goes
// out whole, though its channel may have been given up meanwhile.
func (ch *Channel) appendBody(part []byte, final bool) (done bool, err error) {
	ch.mu.Lock()
	condemned := ch.err != nil && !ch.serverClosed
	if ch.serverClosed {
		err = cmpErr(ch.err, ErrClosed) // ErrClosed: in this instant
	} else {
		err = ch.conn.out.body(ch.id, part, final)
	}
	ch.changed.Wake() // it moves
	if err == nil && !final {
		ch.mu.Unlock()
		return false, nil
	}
	ch.streaming = false
	var fault error // of the server, which has nothing to do with the message
	switch {
	case condemned:
		ch.sendCloseLocked(ch.err)
	case err == nil:
		fault = ch.sendDeferred()
	}
	if ch.mode == modeConfirm {
		err = nil // the verdict tells
	}
	ch.mu.Unlock()
	if fault != nil {
		ch.conn.die(fault)
	}
	return true, err
}

// Flushed reports whether the socket has taken all that was published on this
// channel. Until then nobody can have an answer to it.
func (ch *Channel) Flushed() bool { return ch.conn.out.hasWrittenOf(ch.id) }

func (ch *Channel) currentMode() mode {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.mode
}

// OnReturn has every returned message given to f as well, in order, on the
// reader goroutine: f must not block. It replaces an earlier listener.
func (ch *Channel) OnReturn(f func(*Return)) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.onReturn = f
}

// Paused reports whether the server has asked for no publishes on this channel
// (channel.flow). They then wait, within their context.
func (ch *Channel) Paused() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.paused
}

// setFlow pauses or resumes the channel's publishes at the server's wish.
// RabbitMQ does not use it. (Specification, channel.flow.)
func (ch *Channel) setFlow(active bool) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.paused = !active
	ch.changed.Wake()
	return active
}
