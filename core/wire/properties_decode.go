package wire

import (
	"encoding/binary"
	"math"
)

// noLimits is for properties that a [Decoder] has let through under its own limits: their structure is
// checked again, which keeps any bytes safe, their size is not.
func noLimits() limits { return limits{depth: DepthLimit, fields: math.MaxInt} }

// DecodeProperties decodes what [ContentHeader] holds; for that it cannot fail. Other bytes may give a
// [*Error]. Nothing in the result aliases raw.
func DecodeProperties(raw []byte) (Properties, error) {
	c, err := newPropertyCursor(raw, noLimits())
	if err != nil {
		return Properties{}, err
	}
	var p Properties
	for c.next() {
		p.set(c.property, c.value)
	}
	if c.reason != "" {
		return Properties{}, c.err()
	}
	return p, nil
}

// set decodes one property.
func (p *Properties) set(which Property, value []byte) {
	if len(value) == 0 || len(value) == 1 && value[0] == 0 {
		p.given |= which
	}
	switch which {
	case PropertyContentType:
		p.ContentType = string(value)
	case PropertyContentEncoding:
		p.ContentEncoding = string(value)
	case PropertyHeaders:
		p.Headers = decodeTable(value[4:])
	case PropertyDeliveryMode:
		p.DeliveryMode = value[0]
	case PropertyPriority:
		p.Priority = value[0]
	case PropertyCorrelationID:
		p.CorrelationID = string(value)
	case PropertyReplyTo:
		p.ReplyTo = string(value)
	case PropertyExpiration:
		p.Expiration = string(value)
	case PropertyMessageID:
		p.MessageID = string(value)
	case PropertyTimestamp:
		p.Timestamp = decodeTimestamp(value)
	case PropertyType:
		p.Type = string(value)
	case PropertyUserID:
		p.UserID = string(value)
	case PropertyAppID:
		p.AppID = string(value)
	case PropertyClusterID:
		p.ClusterID = string(value)
	}
}

// LookupProperty finds one property in what [ContentHeader] holds, without decoding the others and without
// allocating. The value aliases raw: the octets of a string, one octet, the eight of a time, or a table with
// its length. It is not found in malformed bytes.
func LookupProperty(raw []byte, p Property) (value []byte, ok bool) {
	c, err := newPropertyCursor(raw, noLimits())
	if err != nil {
		return nil, false
	}
	for c.next() {
		if c.property == p {
			return c.value, true
		}
	}
	return nil, false
}

// LookupHeader decodes one header of what [ContentHeader] holds, without decoding the others. The result is
// what Properties.Headers[key] would be after [DecodeProperties].
func LookupHeader(raw []byte, key string) (value any, ok bool) {
	table, ok := LookupProperty(raw, PropertyHeaders)
	if !ok {
		return nil, false
	}
	l := noLimits()
	var found []byte
	for b := table[4:]; len(b) > 0; {
		k, v, _ := cutShortstr(b)
		if string(k) == key {
			found = v // the last one counts
		}
		b, _ = l.value(v, l.depth) // LookupProperty has checked it
	}
	if found == nil {
		return nil, false
	}
	value, _ = decodeValue(found)
	return value, true
}

// propertyCursor steps through encoded properties and checks each on the way.
type propertyCursor struct {
	property Property // the current one
	value    []byte   // its octets, aliasing the input; a table with its length
	reason   string   // why the cursor has stopped early

	flags  Property // properties still to come
	rest   []byte
	limits limits
}

// newPropertyCursor reads the flags words. Bits that name no property are ignored: what they announce comes
// after the properties known here (0-9-1 §4.2.6.1), among bytes that nobody reads.
func newPropertyCursor(raw []byte, l limits) (propertyCursor, error) {
	c := propertyCursor{limits: l}
	for words := 0; ; words++ {
		if len(raw) < 2 {
			return c, fault(codeSyntaxError, "content header", "property flags are cut off")
		}
		word := binary.BigEndian.Uint16(raw)
		raw = raw[2:]
		if words == 0 {
			c.flags = Property(word) &^ 3
		}
		if word&flagMore == 0 {
			c.rest = raw
			return c, nil
		}
	}
}

// next moves to the next property that is present; false at the end and on an error.
func (c *propertyCursor) next() bool {
	if c.flags == 0 {
		return false
	}
	c.property = highest(c.flags)
	c.flags &^= c.property
	ok := true
	switch c.property {
	case PropertyHeaders:
		var rest []byte
		rest, c.reason = c.limits.checkTable(c.rest)
		if c.reason != "" {
			return false
		}
		n := len(c.rest) - len(rest)
		c.value, c.rest = c.rest[:n:n], rest
	case PropertyDeliveryMode, PropertyPriority:
		c.value, c.rest, ok = cut(c.rest, 1)
	case PropertyTimestamp:
		c.value, c.rest, ok = cut(c.rest, 8)
	default:
		c.value, c.rest, ok = cutShortstr(c.rest)
	}
	if !ok {
		c.reason = "property " + reasonLength
	}
	return ok
}

func (c *propertyCursor) err() error {
	return fault(codeSyntaxError, "content header", "%s", c.reason)
}
