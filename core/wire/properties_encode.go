package wire

import (
	"encoding/binary"
	"time"
)

// AppendHeader appends a content header frame for a body of bodySize octets; p may be nil. On an error, a
// [*FieldError], dst is returned as it was.
func AppendHeader(dst []byte, channel, class uint16, bodySize uint64, p *Properties) ([]byte, error) {
	w := propertyWriter{b: appendHeaderStart(dst, channel, class, bodySize)}
	w.properties(p)
	if w.err != nil {
		return dst, w.err
	}
	return endFrame(w.b, len(dst)), nil
}

// AppendRawHeader is [AppendHeader] for properties in their encoded form, as [ContentHeader] holds them;
// an empty raw means none. It does not check them.
func AppendRawHeader(dst []byte, channel, class uint16, bodySize uint64, raw []byte) []byte {
	start := len(dst)
	dst = appendHeaderStart(dst, channel, class, bodySize)
	if len(raw) == 0 {
		dst = append(dst, 0, 0)
	}
	return endFrame(append(dst, raw...), start)
}

// appendHeaderStart appends a header frame up to its properties: class, weight (always 0), body size.
func appendHeaderStart(dst []byte, channel, class uint16, n uint64) []byte {
	return append(dst, FrameHeader, byte(channel>>8), byte(channel), 0, 0, 0, 0,
		byte(class>>8), byte(class), 0, 0,
		byte(n>>56), byte(n>>48), byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// propertyWriter appends the flags word and the values that are present.
type propertyWriter struct {
	b     []byte
	flags Property
	given Property    // written though they have their zero values
	err   *FieldError // the first error; what b holds then is not used
}

// properties writes in the order of the flags, highest bit first (0-9-1 §4.2.6.1).
func (w *propertyWriter) properties(p *Properties) {
	at := len(w.b)
	w.b = append(w.b, 0, 0)
	if p == nil {
		return
	}
	w.given = p.given
	w.shortstr(PropertyContentType, "content type", p.ContentType)
	w.shortstr(PropertyContentEncoding, "content encoding", p.ContentEncoding)
	w.headers(p.Headers)
	w.octet(PropertyDeliveryMode, p.DeliveryMode)
	w.octet(PropertyPriority, p.Priority)
	w.shortstr(PropertyCorrelationID, "correlation id", p.CorrelationID)
	w.shortstr(PropertyReplyTo, "reply to", p.ReplyTo)
	w.shortstr(PropertyExpiration, "expiration", p.Expiration)
	w.shortstr(PropertyMessageID, "message id", p.MessageID)
	w.timestamp(p.Timestamp)
	w.shortstr(PropertyType, "type", p.Type)
	w.shortstr(PropertyUserID, "user id", p.UserID)
	w.shortstr(PropertyAppID, "app id", p.AppID)
	w.shortstr(PropertyClusterID, "cluster id", p.ClusterID)
	binary.BigEndian.PutUint16(w.b[at:], uint16(w.flags))
}

func (w *propertyWriter) shortstr(p Property, name, s string) {
	if s != "" || w.given&p != 0 {
		w.writeShortstr(p, name, s)
	}
}

func (w *propertyWriter) writeShortstr(p Property, name, s string) {
	if len(s) > maxShortstr {
		w.fail(tooLong(name))
		return
	}
	w.flags |= p
	w.b = appendShortstr(w.b, s)
}

func (w *propertyWriter) octet(p Property, v uint8) {
	if v != 0 || w.given&p != 0 {
		w.flags |= p
		w.b = append(w.b, v)
	}
}

func (w *propertyWriter) headers(t Table) {
	if t == nil {
		return
	}
	b, err := appendTable(w.b, t)
	if err != nil {
		w.fail(err.under("headers"))
		return
	}
	w.flags |= PropertyHeaders
	w.b = b
}

func (w *propertyWriter) timestamp(t time.Time) {
	if t.IsZero() {
		return
	}
	w.flags |= PropertyTimestamp
	w.b = appendTimestamp(w.b, t)
}

func (w *propertyWriter) fail(err *FieldError) {
	if w.err == nil {
		w.err = err
	}
}
