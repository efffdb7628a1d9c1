// Package framing is the least of AMQP that a measurement needs on either side: frames skimmed without
// being decoded, and messages encoded once and written many times.
package framing

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/warren-mq/warren/core/wire"
)

// Limits that this package's two sides agree on.
const (
	FrameMax   = 131072
	ChannelMax = 2047
)

// Buffer is how much is read or written at once: many small messages, and still in the processor's cache.
const Buffer = 256 << 10

// ErrNotAMQP says that bytes are no frames.
var ErrNotAMQP = errors.New("bytes that are no AMQP frame")

// Skim calls f with each whole frame of b, until f returns an error, and returns how many bytes they took.
// Nothing is checked but what is needed to find the next frame.
func Skim(b []byte, f func(typ uint8, channel uint16, payload []byte) error) (n int, err error) {
	for len(b)-n >= wire.FrameOverhead {
		size := int(binary.BigEndian.Uint32(b[n+3:]))
		end := n + 7 + size
		if end >= len(b) {
			break
		}
		if b[end] != wire.FrameEnd {
			return n, ErrNotAMQP
		}
		at := n
		n = end + 1
		if err := f(b[at], binary.BigEndian.Uint16(b[at+1:]), b[at+7:end]); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Reader skims what it reads.
type Reader struct {
	r    io.Reader
	buf  []byte
	held int  // bytes at the front of buf that are not skimmed yet
	more bool // there may be whole frames among them
}

// NewReader returns a reader of r.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: r, buf: make([]byte, Buffer)}
}

// Read reads once and calls f with each whole frame that is there then, until f returns an error.
func (r *Reader) Read(f func(typ uint8, channel uint16, payload []byte) error) error {
	if !r.more {
		n, err := r.r.Read(r.buf[r.held:])
		r.held += n
		if n == 0 && err != nil {
			return err
		}
	}
	used, err := Skim(r.buf[:r.held], f)
	r.held = copy(r.buf, r.buf[used:r.held])
	r.more = err != nil && r.held > 0
	return err
}

var errFound = errors.New("found")

// Method reads frames up to the first method on channel, and decodes it.
func (r *Reader) Method(channel uint16) (m wire.Method, err error) {
	var dec wire.Decoder
	for err == nil {
		err = r.Read(func(typ uint8, ch uint16, payload []byte) (err error) {
			if typ != wire.FrameMethod || ch != channel {
				return nil
			}
			if m, err = dec.Method(payload); err == nil {
				err = errFound
			}
			return err
		})
	}
	if errors.Is(err, errFound) {
		err = nil
	}
	return m, err
}

// Publish encodes one message for the default exchange.
func Publish(dst []byte, channel uint16, key string, size int, persistent bool) []byte {
	dst, _ = wire.AppendPublish(dst, channel, "", key, false, false) // the key is short
	return content(dst, channel, size, persistent)
}

// Deliver encodes one delivery, and tells where in it the tag is.
func Deliver(dst []byte, channel uint16, consumer string, size int) (b []byte, tagAt int) {
	tagAt = len(dst) + 7 + 4 + 1 + len(consumer)
	dst, _ = wire.AppendDeliver(dst, channel, &wire.BasicDeliver{ConsumerTag: consumer, RoutingKey: "bench"}) // both are short
	return content(dst, channel, size, false), tagAt
}

func content(dst []byte, channel uint16, size int, persistent bool) []byte {
	p := &wire.Properties{}
	if persistent {
		p.DeliveryMode = 2
	}
	dst, _ = wire.AppendHeader(dst, channel, wire.ClassBasic, uint64(size), p) // nothing in it can be refused
	return wire.AppendBody(dst, channel, make([]byte, size), FrameMax)
}
