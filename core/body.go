package core

import (
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// directAbove is the payload size from which the rest of a body frame is read
// into the message's own memory, not into the read buffer and copied from there.
const directAbove = 16 << 10

// headerAsk is how much is read at once among such frames: what comes in
// between, method and header, and little of the next body.
const headerAsk = 4 << 10

// readBody reads the rest of the frame that comes next into its message, if
// that is a large body frame.
func (c *Conn) readBody() (done bool, err error) {
	f := c.in.frames
	next, size, ok := wire.PeekFrame(f.buf[f.r:f.w])
	if !ok || next.Type != wire.FrameBody || size < directAbove || size > f.max-wire.FrameOverhead || int(next.Channel) >= len(c.slots) {
		return false, nil
	}
	ch := c.slots[next.Channel].Load()
	if ch == nil || ch.dead.Load() {
		return false, nil
	}
	room := ch.in.reserve(int(size))
	if room == nil {
		return false, nil
	}
	if err := f.payload(room); err != nil {
		return true, err
	}
	return true, ch.onContent(ch.in.advance(len(room)), nil, &c.in)
}

// payload reads the payload of the frame that comes next into dst, which has
// its size, and the octet that ends the frame.
func (f *frames) payload(dst []byte) error {
	if f.frameSince.IsZero() {
		f.frameSince = time.Now()
	}
	got := copy(dst, f.buf[f.r+wire.FrameOverhead-1:f.w])
	for got < len(dst) {
		n, err := f.read(dst[got:], true)
		if err != nil {
			return err
		}
		got += n
	}
	f.r, f.w, f.ask = 0, 0, headerAsk
	for f.w == 0 {
		n, err := f.read(f.buf[:f.ask], true)
		if err != nil {
			return err
		}
		f.w = n
	}
	if f.buf[0] != wire.FrameEnd {
		return fault(ErrFrame, "the octet that ends a body frame is missing")
	}
	f.r = 1
	return nil
}
