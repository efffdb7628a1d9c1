package faultproxy

import (
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
)

// maxFrame is the size above which bytes are not taken for a frame.
const maxFrame = 16 << 20

// framer cuts one way of a connection into frames. What is no AMQP is one piece as
// it comes.
type framer struct {
	buf   []byte // what was read and not yet cut
	plain bool   // no frames any more
}

// room returns where to read to. What is there must be given to took.
func (f *framer) room() []byte {
	if len(f.buf) == cap(f.buf) {
		grown := make([]byte, len(f.buf), max(2*cap(f.buf), bufferSize))
		copy(grown, f.buf)
		f.buf = grown
	}
	return f.buf[len(f.buf):cap(f.buf)]
}

func (f *framer) took(n int) { f.buf = f.buf[:len(f.buf)+n] }

// next returns the bytes of the next frame, with the frame; false if it has not come
// whole. The zero frame stands for bytes that are none.
func (f *framer) next(b []byte) (raw []byte, frame wire.Frame, ok bool) {
	if f.plain {
		return b, wire.Frame{}, len(b) > 0
	}
	frame, n, err := wire.ParseFrame(b, maxFrame)
	switch {
	case err == nil && n == 0:
		return nil, wire.Frame{}, false
	case err == nil:
		return b[:n:n], frame, true
	}
	if _, header := errs.AsType[*wire.ProtocolHeaderError](err); header {
		n = len(wire.ProtocolHeader) // frames follow that of a client; nothing follows that of a server
		return b[:n:n], wire.Frame{}, true
	}
	f.plain = true
	return b, wire.Frame{}, true
}

// keep drops what was cut, all but the rest.
func (f *framer) keep(rest []byte) { f.buf = f.buf[:copy(f.buf, rest)] }
