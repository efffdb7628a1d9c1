package core

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// readBuffer is the least size of the read buffer: one read under load brings
// hundreds of small messages.
const readBuffer = 64 << 10

// frames reads frames from a socket through one buffer, in which they are
// parsed in place. It belongs to the goroutine that reads: the dialling one
// during the handshake, then the reader.
type frames struct {
	nc     net.Conn
	max    uint32        // largest frame accepted
	silent time.Duration // error out after so long without a byte; 0: never
	stall  time.Duration // error out when one frame takes longer; 0: never
	counts *traffic      // nil during the handshake

	buf        []byte
	r, w       int       // unread bytes are buf[r:w]
	armed      time.Time // when the read deadline was set last
	frameSince time.Time // when the frame at r was first seen incomplete
}

func newFrames(nc net.Conn, largest uint32) *frames {
	f := &frames{nc: nc}
	f.resize(largest)
	return f
}

// resize sets the largest frame, which always fits the buffer.
func (f *frames) resize(largest uint32) {
	f.max = largest
	buf := make([]byte, max(readBuffer, int(largest)))
	f.w = copy(buf, f.buf[f.r:f.w])
	f.r, f.buf = 0, buf
}

// next returns the next frame. Its payload is valid until the following call.
func (f *frames) next() (wire.Frame, error) {
	for {
		frame, n, err := wire.ParseFrame(f.buf[f.r:f.w], f.max)
		if err != nil {
			return wire.Frame{}, err
		}
		if n > 0 {
			f.r += n
			f.frameSince = time.Time{}
			return frame, nil
		}
		if err := f.fill(); err != nil {
			return wire.Frame{}, err
		}
	}
}

// fill reads more bytes behind those that are there.
func (f *frames) fill() error {
	if f.r > 0 {
		f.w = copy(f.buf, f.buf[f.r:f.w])
		f.r = 0
	}
	now := time.Now()
	if err := f.watch(now); err != nil {
		return err
	}
	n, err := f.nc.Read(f.buf[f.w:])
	f.w += n
	if n > 0 {
		if f.counts != nil {
			f.counts.onRead(n, time.Now())
		}
		return nil // an error comes again with the next read
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded) && f.silent > 0:
		return because(ErrSilent, err)
	case errors.Is(err, io.EOF) && f.w > 0:
		return io.ErrUnexpectedEOF
	}
	return err
}

// watch arms the read deadline, at most four times an interval, and notices a
// frame that trickles in.
func (f *frames) watch(now time.Time) error {
	if f.w > 0 && f.stall > 0 {
		if f.frameSince.IsZero() {
			f.frameSince = now
		} else if now.Sub(f.frameSince) > f.stall {
			return because(ErrTimeout, errors.New("one frame took too long to arrive"))
		}
	}
	if f.silent > 0 && now.Sub(f.armed) >= f.silent/8 {
		f.armed = now
		return f.nc.SetReadDeadline(now.Add(f.silent))
	}
	return nil
}
