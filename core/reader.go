package core

import (
	"errors"
	"fmt"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
)

// inbound is what only the reader goroutine touches.
type inbound struct {
	born   time.Time // never changes; others read it too
	frames *frames
	dec    *wire.Decoder
	// Scratch, reused for every confirm.
	ack      wire.BasicAck
	verdicts []settled

	staged    []*Consumer // those with deliveries to hand over
	stagedNow int         // how many deliveries
}

// flushTimeout bounds the courtesies of a dying connection: the answer to a
// server's close, or the close that names this client's complaint.
const flushTimeout = time.Second

// runReader is the only goroutine that reads from the socket after the
// handshake. It never waits for anything but the socket.
func (c *Conn) runReader() {
	err := errExited
	defer func() {
		c.complain(err)
		c.die(err)
		<-c.writerDone
		c.teardown()
	}()
	err = c.readFrames()
}

// errExited: the reader cannot go on in the middle of a frame, and nobody may
// take a connection for alive that is not read.
var errExited = errors.New("a listener of returned messages or of connection.blocked ended the connection's reader (runtime.Goexit, or FailNow of package testing)")

func (c *Conn) readFrames() error {
	for {
		f, whole, err := c.in.frames.buffered()
		switch {
		case err != nil:
		case whole:
			err = c.dispatch(f)
		default:
			err = c.wait()
		}
		if err != nil {
			_ = c.in.handOver() // what came whole before the end; err came first
			return protocolError(err)
		}
	}
}

// wait hands over what came, and reads more.
func (c *Conn) wait() error {
	if err := c.in.handOver(); err != nil {
		return err
	}
	c.trailing.Store(c.in.dec.Trailing)
	return c.in.frames.fill()
}

func (c *Conn) dispatch(f wire.Frame) error {
	if f.Type == wire.FrameHeartbeat {
		return nil
	}
	if f.Channel == 0 {
		if err := c.in.handOver(); err != nil {
			return err
		}
		return c.onConnection(f)
	}
	if int(f.Channel) >= len(c.slots) {
		return errNoSuchChannel(f.Channel)
	}
	ch := c.slots[f.Channel].Load()
	if ch == nil {
		return c.onClosedChannel(f)
	}
	return ch.onFrame(f, &c.in)
}

func errNoSuchChannel(id uint16) error {
	return fault(ErrChannel, "frame on channel %d, which is not open", id)
}

// onConnection handles a frame on channel 0.
func (c *Conn) onConnection(f wire.Frame) error {
	if f.Type != wire.FrameMethod {
		return fault(ErrUnexpectedFrame, "content on channel 0")
	}
	m, err := c.in.dec.Method(f.Payload)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *wire.ConnectionClose:
		err := serverClose(m)
		c.doom(err)
		_ = c.out.last(&wire.ConnectionCloseOk{}, nil, err) // fails only if this side closes too
		c.awaitFlush()
		return err
	case *wire.ConnectionCloseOk:
		return c.onCloseOk()
	case *wire.ConnectionBlocked:
		c.setBlocked(m.Reason, true)
	case *wire.ConnectionUnblocked:
		c.setBlocked("", false)
	default:
		return c.onReply(m)
	}
	return nil
}

func (c *Conn) onCloseOk() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		return unexpected(&wire.ConnectionCloseOk{})
	}
	c.closing = false
	return ErrClosed
}

func (c *Conn) onReply(m wire.Method) error {
	c.mu.Lock()
	if len(c.calls) == 0 || !c.calls[0].takes(m.ID()) {
		c.mu.Unlock()
		return unexpected(m)
	}
	p := c.calls[0]
	c.calls = c.calls[1:]
	c.mu.Unlock()
	p.succeed(m, nil)
	return nil
}

// complain tells the server why this client gives up, if it is the server's
// bytes, and waits a moment for that to be written.
func (c *Conn) complain(err error) {
	e := AsError(err)
	if !e.Fault() {
		return
	}
	c.doom(err)
	if c.out.last(&wire.ConnectionClose{ReplyCode: uint16(e.Code), ReplyText: clip(e.Text, 255)}, c.farewells(), err) == nil {
		c.awaitFlush()
	}
}

// awaitFlush waits until the writer has written the last frame.
func (c *Conn) awaitFlush() {
	t := time.NewTimer(flushTimeout)
	defer t.Stop()
	select {
	case <-c.writerDone:
	case <-c.dying:
	case <-t.C:
	}
}

// protocolError turns a fault found in received bytes into an [*Error].
func protocolError(err error) error {
	w, ok := errs.AsType[*wire.Error](err)
	if !ok {
		return err
	}
	return fault(Code(w.Code), "%s: %s", w.Where, w.Reason)
}

// fault is a breach of the protocol by the server that the connection does not survive.
func fault(code Code, format string, args ...any) error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...), Scope: ScopeConnection}
}

func serverClose(m *wire.ConnectionClose) *Error {
	return &Error{
		Code: Code(m.ReplyCode), Text: m.ReplyText, Scope: ScopeConnection, Server: true,
		Method: failedMethod(m.ClassID, m.MethodID),
	}
}

// failedMethod names the method that a close blames, "" if none.
func failedMethod(class, method uint16) string {
	if class == 0 && method == 0 {
		return ""
	}
	return wire.MethodID(uint32(class)<<16 | uint32(method)).String()
}

func clip(s string, n int) string { return s[:min(n, len(s))] }
