package core

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// readBuffer is the size of the read buffer where frames are small: one read
// under load brings hundreds of messages.
const readBuffer = 128 << 10

// Where frames are large it has room for several, so that one read, and one
// wake-up of the receiver, brings several messages.
const (
	severalFrames   = 8
	largeReadBuffer = 512 << 10
)

// frames reads frames from a socket through one buffer, in which they are
// parsed in place. It belongs to the goroutine that reads: the dialling one
// during the handshake, then the reader.
type frames struct {
	nc     net.Conn
	max    uint32        // largest frame accepted
	silent time.Duration // error out after so long without a byte; 0: never
	stall  time.Duration // error out when one frame takes longer, and longer than slowest allows; 0: never
	counts *traffic      // nil during the handshake

	buf        []byte
	r, w       int       // unread bytes are buf[r:w]
	armed      time.Time // when the read deadline was set last
	frameSince time.Time // when the frame at r was first seen incomplete
}

func newFrames(nc net.Conn, largest uint32) *frames {
	return &frames{nc: nc, max: largest, buf: make([]byte, readBuffer)}
}

// next returns the next frame. Its payload is valid until the following call.
func (f *frames) next() (wire.Frame, error) {
	for {
		frame, whole, err := f.buffered()
		if whole || err != nil {
			return frame, err
		}
		if err := f.fill(); err != nil {
			return wire.Frame{}, err
		}
	}
}

// buffered returns the next frame if the whole of it has been read; else fill
// must be called. Its payload is valid until the following call.
func (f *frames) buffered() (frame wire.Frame, whole bool, err error) {
	frame, n, err := wire.ParseFrame(f.buf[f.r:f.w], f.max)
	if n == 0 || err != nil {
		return wire.Frame{}, false, err
	}
	f.r += n
	return frame, true, nil
}

// unread returns what has come and was not understood.
func (f *frames) unread() []byte { return f.buf[f.r:f.w] }

// fill reads more bytes behind those that are there.
func (f *frames) fill() error {
	f.makeRoom()
	n, err := f.read(f.buf[f.w:], f.w > 0)
	f.w += n
	return err
}

// makeRoom moves what is there to the front of the buffer, which becomes large
// enough for the frame that it begins with.
func (f *frames) makeRoom() {
	size := readBuffer
	if _, payload, ok := wire.PeekFrame(f.buf[f.r:f.w]); ok {
		frame := int(payload) + wire.FrameOverhead // within the limit, or it would have been refused
		size = max(size, frame, min(severalFrames*frame, largeReadBuffer))
	}
	if f.r > 0 {
		f.frameSince = time.Time{} // another frame than at the last call
	}
	buf := f.buf
	if size > len(buf) {
		buf = make([]byte, size)
	} else if f.r == 0 {
		return
	}
	f.w = copy(buf, f.buf[f.r:f.w])
	f.r, f.buf = 0, buf
}

// read reads once into b; inside says that it is the rest of a frame.
func (f *frames) read(b []byte, inside bool) (n int, err error) {
	if err := f.watch(time.Now(), inside); err != nil {
		return 0, err
	}
	n, err = f.nc.Read(b)
	if n > 0 && f.counts != nil {
		f.counts.onRead(n, time.Now())
	}
	switch {
	case n > 0 || err == nil:
		return n, nil // an error comes again with the next read
	case errors.Is(err, os.ErrDeadlineExceeded) && f.silent > 0:
		return 0, because(ErrSilent, err)
	case errors.Is(err, io.EOF) && inside:
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

// slowest is the rate, in bytes a second, at which a link still counts as one
// on which a large frame arrives.
const slowest = 1 << 10

// allowance is what the frame that is arriving may take for its size.
func (f *frames) allowance() time.Duration {
	_, payload, _ := wire.PeekFrame(f.buf[f.r:f.w])
	return time.Duration(payload/slowest) * time.Second
}

// watch arms the read deadline, at most four times an interval, and notices a
// frame that trickles in.
func (f *frames) watch(now time.Time, inside bool) error {
	if inside && f.stall > 0 {
		if f.frameSince.IsZero() {
			f.frameSince = now
		} else if now.Sub(f.frameSince) > f.stall+f.allowance() {
			return because(ErrTimeout, errors.New("one frame took too long to arrive"))
		}
	}
	if f.silent > 0 && now.Sub(f.armed) >= f.silent/8 {
		f.armed = now
		return f.nc.SetReadDeadline(now.Add(f.silent))
	}
	return nil
}
