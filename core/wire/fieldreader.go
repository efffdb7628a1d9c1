package wire

import "encoding/binary"

// fieldReader is the walker that decodes. After an error it leaves the fields alone.
type fieldReader struct {
	b      []byte // what is left of the payload
	bits   uint   // bits taken of octet flags; 0: the next bit starts an octet
	flags  uint8
	limits limits
	id     MethodID
	err    error
}

// take returns the next n octets, or nil and an error if there are fewer.
func (r *fieldReader) take(name string, n int) []byte {
	r.bits = 0
	if r.err != nil {
		return nil
	}
	if len(r.b) < n {
		r.fail(name, "the frame ends before it")
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *fieldReader) bit(name string, v *bool) {
	if r.bits%8 == 0 {
		b := r.take(name, 1)
		if b == nil {
			return
		}
		r.flags = b[0]
	}
	*v = r.flags&(1<<r.bits) != 0
	r.bits++
}

func (r *fieldReader) octet(name string, v *uint8) {
	if b := r.take(name, 1); b != nil {
		*v = b[0]
	}
}

func (r *fieldReader) short(name string, v *uint16) {
	if b := r.take(name, 2); b != nil {
		*v = binary.BigEndian.Uint16(b)
	}
}

func (r *fieldReader) long(name string, v *uint32) {
	if b := r.take(name, 4); b != nil {
		*v = binary.BigEndian.Uint32(b)
	}
}

func (r *fieldReader) longlong(name string, v *uint64) {
	if b := r.take(name, 8); b != nil {
		*v = binary.BigEndian.Uint64(b)
	}
}

func (r *fieldReader) shortstr(name string, v *string) {
	if s, ok := r.octets(name, cutShortstr); ok {
		*v = string(s)
	}
}

func (r *fieldReader) longstr(name string, v *string) {
	if s, ok := r.octets(name, cutLongstr); ok {
		*v = string(s)
	}
}

func (r *fieldReader) opaque(name string, v *[]byte) {
	if s, ok := r.octets(name, cutLongstr); ok {
		*v = append([]byte(nil), s...)
	}
}

// octets returns the string that cut finds at the front of the payload.
func (r *fieldReader) octets(name string, cut func([]byte) (s, rest []byte, ok bool)) ([]byte, bool) {
	r.bits = 0
	if r.err != nil {
		return nil, false
	}
	s, rest, ok := cut(r.b)
	if !ok {
		r.fail(name, reasonLength)
		return nil, false
	}
	r.b = rest
	return s, true
}

func (r *fieldReader) table(name string, v *Table) {
	r.bits = 0
	if r.err != nil {
		return
	}
	rest, reason := r.limits.checkTable(r.b)
	if reason != "" {
		r.fail(name, reason)
		return
	}
	if body := r.b[4 : len(r.b)-len(rest)]; len(body) > 0 {
		*v = decodeTable(body)
	}
	r.b = rest
}

func (r *fieldReader) reserved(t fieldType) {
	switch t {
	case typeBit:
		r.bit("reserved", new(bool))
	case typeShort:
		r.short("reserved", new(uint16))
	case typeShortstr:
		r.octets("reserved", cutShortstr)
	case typeLongstr:
		r.octets("reserved", cutLongstr)
	}
}

func (r *fieldReader) fail(name, reason string) {
	r.err = fault(codeSyntaxError, r.id.String()+" "+field(name), "%s", reason)
}
