package wire

import "encoding/binary"

// Decoder decodes the payloads of one connection's frames. The zero value is ready for use. It keeps a
// bounded cache of strings, about 1 MiB at most, so that names that come again cost no allocation. It is
// not safe for concurrent use.
//
// Its methods return [*Error]: 501 for a payload too short to say what it is, 502 for arguments that are
// cut off, malformed or beyond the limits, 503 and 540 for unknown classes and methods, 505 for a content
// header of a class without content. After an error no result is set.
type Decoder struct {
	MaxDepth  int // levels of tables and arrays inside each other, at most [DepthLimit]; 0: 32
	MaxFields int // table fields and array elements in one payload; 0: 16384

	Trailing uint64 // counts the methods that had bytes behind their last argument, which are ignored

	names interner
}

func (d *Decoder) limits() limits {
	l := limits{depth: maxDepth, fields: maxFields}
	if d.MaxDepth != 0 {
		l.depth = min(d.MaxDepth, DepthLimit)
	}
	if d.MaxFields != 0 {
		l.fields = d.MaxFields
	}
	return l
}

// Method decodes the payload of a method frame into a new struct that shares no memory with it. Bytes behind
// the last argument are ignored.
func (d *Decoder) Method(payload []byte) (Method, error) {
	id, ok := PeekMethod(payload)
	if !ok {
		return nil, errNoMethodID(payload)
	}
	m := NewMethod(id)
	if m == nil {
		return nil, errUnknownMethod(id)
	}
	r := &fieldReader{b: payload[4:], limits: d.limits(), id: id}
	m.fields(r)
	if r.err != nil {
		return nil, r.err
	}
	d.trailing(r.b)
	return m, nil
}

func (d *Decoder) trailing(rest []byte) {
	if len(rest) > 0 {
		d.Trailing++
	}
}

func errNoMethodID(payload []byte) error {
	return fault(codeFrameError, "method frame", "%d octets are too few for a method", len(payload))
}

func errUnknownMethod(id MethodID) error {
	switch id.Class() {
	case ClassConnection, ClassChannel, ClassAccess, ClassExchange, ClassQueue, ClassBasic, ClassConfirm, ClassTx:
		return fault(codeNotImplemented, id.String(), "unknown method")
	}
	return fault(codeCommandInvalid, id.String(), "unknown class")
}

// ContentHeader is what a content header frame says of the body that follows it.
type ContentHeader struct {
	Class      uint16
	BodySize   uint64 // a claim of the peer: never allocate by it
	Properties []byte // flags and values as received, checked; for [DecodeProperties] and the lookup functions
}

// headerFixedSize is the size of class, weight and body size.
const headerFixedSize = 12

// Header decodes the payload of a content header frame. It checks the properties without decoding them and
// without allocating. Properties aliases payload.
func (d *Decoder) Header(payload []byte) (ContentHeader, error) {
	if len(payload) < headerFixedSize {
		return ContentHeader{}, fault(codeFrameError, "content header", "%d octets are too few", len(payload))
	}
	h := ContentHeader{
		Class:      binary.BigEndian.Uint16(payload),
		BodySize:   binary.BigEndian.Uint64(payload[4:]),
		Properties: payload[headerFixedSize:],
	}
	if h.Class != ClassBasic {
		return ContentHeader{}, fault(codeUnexpectedFrame, "content header", "class %d has no content", h.Class)
	}
	if len(h.Properties) == 2 && h.Properties[0] == 0 && h.Properties[1] == 0 {
		return h, nil // no properties
	}
	c, err := newPropertyCursor(h.Properties, d.limits())
	if err != nil {
		return ContentHeader{}, err
	}
	for c.next() {
	}
	if c.reason != "" {
		return ContentHeader{}, c.err()
	}
	return h, nil
}
