package core

import (
	"unsafe"

	"github.com/warren-mq/warren/core/wire"
)

// assembler puts the frames of one channel's contents together: a method that
// carries content, its header, and body frames up to the announced size. It
// is pure and belongs to the reader goroutine.
//
// Rules: specification, chapters 2.3.5.2 and 4.2.6: a content's frames follow
// its method without other frames of the same channel in between.
type assembler struct {
	limit uint64 // largest body kept

	expect   uint8         // frame type that must come next: method, header or body
	method   wire.MethodID // the method the content belongs to
	buf      []byte        // properties, then as much of the body as has arrived
	delivery *Delivery     // that buf is for
	recycled *recycler     // deliveries to use again
	props    int           // length of the properties in buf
	size     uint64        // announced body size
	received uint64
	skipped  bool // the body is above the limit: it is counted as it arrives, and only its beginning kept
	empty    int  // empty body frames seen
}

// maxEmptyFrames is how many body frames without a byte one content may have.
const maxEmptyFrames = 16

// firstAlloc bounds what is allocated on the word of a header alone; beyond
// it the buffer grows with what has really arrived.
const firstAlloc = 128 << 10

func newAssembler(limit uint64, recycled *recycler) assembler {
	return assembler{limit: limit, recycled: recycled, expect: wire.FrameMethod}
}

// fits reports a fault if a frame of type t may not come now.
func (a *assembler) fits(t uint8) error {
	if t == a.expect {
		return nil
	}
	names := map[uint8]string{wire.FrameMethod: "method", wire.FrameHeader: "content header", wire.FrameBody: "body"}
	return fault(ErrUnexpectedFrame, "%s frame where a %s frame was expected", names[t], names[a.expect])
}

// begin notes a method that carries content.
func (a *assembler) begin(m wire.MethodID) {
	a.method = m
	a.expect = wire.FrameHeader
}

// header notes the content header. It reports whether the content is complete. A
// body above the limit is an error, unless it may be skipped.
func (a *assembler) header(h wire.ContentHeader, maySkip bool) (complete bool, err error) {
	if h.Class != wire.ClassBasic {
		return false, fault(ErrUnexpectedFrame, "content header of class %d after %s", h.Class, a.method)
	}
	a.skipped = h.BodySize > a.limit
	if a.skipped && !maySkip {
		return false, errBodyTooLarge(h.BodySize, a.limit)
	}
	a.props, a.size, a.received, a.empty = len(h.Properties), h.BodySize, 0, 0
	a.buf = append(a.room(len(h.Properties)+int(min(h.BodySize, a.atFirst()))), h.Properties...)
	a.expect = wire.FrameBody
	return a.finish(), nil
}

// body appends one body frame. It reports whether the content is complete.
func (a *assembler) body(b []byte) (complete bool, err error) {
	if len(b) == 0 {
		if a.empty++; a.empty > maxEmptyFrames {
			return false, fault(ErrFrame, "too many empty body frames")
		}
		return false, nil
	}
	if a.received+uint64(len(b)) > a.size {
		return false, fault(ErrFrame, "body longer than the announced %d bytes", a.size)
	}
	kept := b
	if a.skipped {
		kept = b[:min(uint64(len(b)), markBody-min(a.received, markBody))]
	}
	a.buf = append(a.buf, kept...)
	a.received += uint64(len(b))
	return a.finish(), nil
}

// atFirst is how much is allocated for a body before any of it has arrived.
func (a *assembler) atFirst() uint64 {
	if a.skipped {
		return markBody
	}
	return firstAlloc
}

func (a *assembler) finish() bool {
	if a.received != a.size {
		return false
	}
	a.expect = wire.FrameMethod
	return true
}

// smallDelivery is a delivery and its content in one piece of memory.
type smallDelivery struct {
	Delivery
	content [smallContent]byte
}

// smallContent fills what the delivery leaves of a size class of the allocator.
const smallContent = 192 - unsafe.Sizeof(Delivery{})

// room returns a buffer for n bytes, and makes the delivery that they are for.
func (a *assembler) room(n int) []byte {
	if a.method != wire.MethodBasicDeliver {
		return make([]byte, 0, n)
	}
	if a.delivery = a.recycled.take(); a.delivery == nil {
		if n <= int(smallContent) {
			small := new(smallDelivery)
			a.delivery = &small.Delivery
			return small.content[:0]
		}
		a.delivery = new(Delivery)
	}
	if cap(a.delivery.props) < n {
		return make([]byte, 0, n)
	}
	return a.delivery.props
}

// takeDelivery is take for a delivery.
func (a *assembler) takeDelivery() *Delivery {
	d := a.delivery
	a.delivery = nil
	d.props, d.Body = a.take()
	return d
}

// take hands over properties and body of the complete content. The caller
// owns the memory.
func (a *assembler) take() (props, body []byte) {
	props, body = a.buf[:a.props], a.buf[a.props:]
	a.buf = nil
	return props, body
}
