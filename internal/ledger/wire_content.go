package ledger

import (
	"bytes"
	"hash/crc32"

	"github.com/warren-mq/warren/core/wire"
)

// content gathers what is noted of a message while its frames pass.
type content struct {
	record   Record // kindNone: none is under way
	left     uint64 // bytes of the body still to come
	crc      uint32 // of what came of the body from the identity on
	identity prefix // as in the body
	header   prefix // as in the header
}

// prefix is the beginning of a body.
type prefix struct {
	bytes [PrefixSize]byte
	n     int // how much of it there is
}

// add takes what the prefix lacks from the front of b, and returns the rest.
func (p *prefix) add(b []byte) []byte {
	n := copy(p.bytes[p.n:], b)
	p.n += n
	return b[n:]
}

// begin starts with the method.
func (x *content) begin(r Record) { *x = content{record: r} }

// head takes the content header and reports whether the content ends with it.
func (x *content) head(d *wire.Decoder, payload []byte) (ended bool) {
	if x.record.Kind == kindNone {
		return false
	}
	h, err := d.Header(payload)
	if err != nil {
		x.record.Kind = kindNone
		return false
	}
	x.left = h.BodySize
	if table, ok := wire.LookupProperty(h.Properties, wire.PropertyHeaders); ok {
		x.header.add(find(table, Header, PrefixSize))
		if x.record.Kind == WireDeliver && bytes.Contains(table, []byte("\x07x-death")) {
			x.record.Flags |= Dead
		}
	}
	return x.left == 0
}

// find returns the value of a header of bytes of that size in an encoded table, also
// where a stream has made a string of it. It looks for the encoded form: decoding
// would allocate.
func find(table []byte, name string, size int) []byte {
	var form [64]byte
	f := append(form[:0], byte(len(name)))
	f = append(f, name...)
	for _, kind := range []byte{'x', 'S'} {
		g := append(f, kind, 0, 0, 0, byte(size))
		if i := bytes.Index(table, g); i >= 0 && len(table) >= i+len(g)+size {
			return table[i+len(g):][:size]
		}
	}
	return nil
}

// body takes a part of the body and reports whether the content ends with it.
func (x *content) body(part []byte) (ended bool) {
	if x.record.Kind == kindNone || x.left == 0 {
		return false
	}
	x.left -= min(uint64(len(part)), x.left)
	before := x.identity.n
	rest := x.identity.add(part)
	fresh := x.identity.bytes[max(before, identity):max(x.identity.n, identity)]
	x.crc = crc32.Update(crc32.Update(x.crc, castagnoli, fresh), castagnoli, rest)
	return x.left == 0
}

// contentEnded notes the message whose last frame has come.
func (c *Conn) contentEnded(ch *channel, x *content) {
	r := x.record
	r.Epoch = ch.epoch
	if r.Kind == WirePub && ch.confirms {
		ch.published++
		r.Tag = ch.published
	}
	id, crc, err := decodePrefix(x.identity.bytes[:x.identity.n])
	switch {
	case err != nil || id.Run != c.ledger.run:
		r.Flags |= Foreign
	case crc != x.crc || x.header.n > 0 && x.header.bytes != x.identity.bytes:
		r.Flags |= Corrupt
		fallthrough
	default:
		r.Pub, r.Seq, r.CRC = id.Publisher, pack(id.Seq, id.Attempt), crc
	}
	x.record.Kind = kindNone
	c.add(r)
}
