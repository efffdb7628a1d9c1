package brokertest

import (
	"encoding/binary"
	"fmt"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// reader is the input of a connection.
type reader struct {
	buf     []byte
	start   int // of what is not yet parsed
	decoder wire.Decoder
}

// space returns where to read to.
func (in *reader) space() []byte {
	if in.start > 0 {
		n := copy(in.buf, in.buf[in.start:])
		in.buf, in.start = in.buf[:n], 0
	}
	if len(in.buf) == cap(in.buf) {
		bigger := make([]byte, len(in.buf), 2*cap(in.buf))
		copy(bigger, in.buf)
		in.buf = bigger
	}
	return in.buf[len(in.buf):cap(in.buf)]
}

func (in *reader) took(n int) { in.buf = in.buf[:len(in.buf)+n] }

// frames handles the frames that are complete. It returns true if it has stopped before the last because
// the connection is throttled. Caller holds Broker.mu.
func (in *reader) frames(c *conn) (more bool) {
	for c.phase != phaseDead && !c.hangup {
		if c.phase == phaseClosed {
			in.start = len(in.buf)
			return false
		}
		if c.phase == phaseHeader {
			if !in.header(c) {
				return false
			}
			continue
		}
		if c.throttled() != nil {
			return true
		}
		rest := in.buf[in.start:]
		f, n, err := wire.ParseFrame(rest, frameLimit(c.frameMax))
		if err != nil {
			skip := c.badFrame(rest, err)
			if in.start += skip; skip > 0 {
				continue
			}
			in.start = len(in.buf)
			return false
		}
		if n == 0 {
			return false
		}
		in.start += n
		if c.consultFrame(f) {
			c.frame(f)
		}
	}
	return false
}

// frameLimit allows a little more than agreed, as RabbitMQ does for clients that count the frame's ends in
// another way.
func frameLimit(frameMax uint32) uint32 {
	if frameMax == 0 {
		return 0
	}
	return frameMax + wire.FrameOverhead
}

// header takes the protocol header. It returns false if there is more to come, or nothing.
func (in *reader) header(c *conn) bool {
	const size = len(wire.ProtocolHeader)
	if len(in.buf)-in.start < size {
		return false
	}
	got := string(in.buf[in.start : in.start+size])
	in.start += size
	if got == wire.ProtocolHeader {
		c.start()
		return true
	}
	offer := "AMQP\x03\x01\x00\x00" // AMQP 1.0 with SASL, as RabbitMQ 4 does
	if got[:6] == "AMQP\x00\x00" && got[6] >= 9 {
		offer = wire.ProtocolHeader
	}
	c.out = append(c.out, offer...)
	c.finish()
	return false
}

// frame handles one frame. Caller holds Broker.mu.
func (c *conn) frame(f wire.Frame) {
	switch {
	case f.Type == wire.FrameHeartbeat:
	case f.Channel == 0:
		c.frameOnConnection(f)
	case c.phase > phaseRunning:
	case c.phase < phaseRunning:
		c.unexpectedFrame(f)
	default:
		c.frameOnChannel(f)
	}
}

func (c *conn) frameOnConnection(f wire.Frame) {
	if f.Type != wire.FrameMethod {
		if c.phase <= phaseRunning {
			c.unexpectedFrame(f)
		}
		return
	}
	m, err := c.in.decoder.Method(f.Payload)
	if err != nil {
		c.badMethod(f)
		return
	}
	c.method(m)
}

func (c *conn) frameOnChannel(f wire.Frame) {
	ch := c.channels[f.Channel]
	if ch == nil {
		if c.channelMax != 0 && len(c.channels) >= int(c.channelMax) {
			c.close(state.Refuse(state.NotAllowed, "number of channels opened (%d) has reached the negotiated channel_max (%d)",
				len(c.channels), c.channelMax), 0)
			return
		}
		ch = newChannel(c, f.Channel)
		c.channels[f.Channel] = ch
	}
	ch.frame(f)
}

// badMethod answers a method that cannot be decoded. Over one that it does not know, RabbitMQ's reader
// crashes.
func (c *conn) badMethod(f wire.Frame) {
	if id, ok := wire.PeekMethod(f.Payload); ok && wire.NewMethod(id) != nil {
		shown := f.Payload[4:min(len(f.Payload), 4+255)] // a reply text has no room for more
		c.fault(state.Refuse(state.FrameError, "cannot decode %s", state.Numbers(shown)), id)
		return
	}
	if c.phase <= phaseRunning {
		c.release()
		c.phase = phaseClosed
		c.finish()
	}
}

// unexpectedFrame answers a frame that has no place here.
func (c *conn) unexpectedFrame(f wire.Frame) {
	c.fault(state.Refuse(state.UnexpectedFrame, "type %d, %s", f.Type, snippet(f.Payload)), 0)
}

// fault ends the connection; before it is open, without a word.
func (c *conn) fault(r *state.Refusal, id wire.MethodID) {
	switch c.phase {
	case phaseRunning, phaseOpening:
		c.close(r, id)
	case phaseClosing, phaseClosed:
	default:
		c.silence()
	}
}

// badFrame answers octets that are no frame. It returns how many can be skipped; if none, nothing behind them
// can be understood.
func (c *conn) badFrame(b []byte, err error) (skip int) {
	switch {
	case len(b) < 7:
		c.fault(state.Refuse(state.FrameError, "%s", err), 0)
	case b[0] == wire.FrameHeartbeat && (b[1] != 0 || b[2] != 0):
		c.fault(state.Refuse(state.UnexpectedFrame, "type 8, %s", snippet(nil)), 0)
	default:
		c.fault(state.Refuse(state.FrameError, "%s", frameFault(b, c.frameMax)), 0)
	}
	if end := 7 + frameSize(b); end < uint64(len(b)) && b[end] == wire.FrameEnd && c.phase == phaseClosing {
		return int(end) + 1
	}
	c.silence()
	return 0
}

// frameSize returns the size of a payload.
func frameSize(b []byte) uint64 {
	if len(b) < 7 {
		return 0
	}
	return uint64(binary.BigEndian.Uint32(b[3:]))
}

// frameFault is RabbitMQ's description of a bad frame.
func frameFault(b []byte, frameMax uint32) string {
	size := frameSize(b)
	if frameMax != 0 && size > uint64(frameMax) {
		return fmt.Sprintf("type %d, all octets = <<>>: {frame_too_large,%d,%d}", b[0], size, frameMax-wire.FrameOverhead)
	}
	if end := 7 + size; uint64(len(b)) > end && b[end] != wire.FrameEnd {
		return fmt.Sprintf("type %d, %s: {invalid_frame_end_marker,%d}", b[0], snippet(b[7:end]), b[end])
	}
	return fmt.Sprintf("type %d, %s: unknown_frame", b[0], snippet(b[7:min(uint64(len(b)), 7+size)]))
}

// snippet shows the beginning of a payload as RabbitMQ does.
func snippet(payload []byte) string {
	if len(payload) <= 16 {
		return "all octets = " + state.Octets(payload)
	}
	return "first 16 octets = " + state.Octets(payload[:16])
}
