package state

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Message is a message as it was published. It is not changed; queues hold it in an [Entry].
type Message struct {
	Exchange, Key string
	MoreKeys      []string // from the headers CC and BCC
	Properties    []byte   // encoded, without BCC
	Body          []byte
	Persistent    bool
	Priority      uint8
	TTL           time.Duration // HasTTL
	HasTTL        bool

	hasPriority bool
	failed      int   // how often a client has failed over it, in queues that it has left
	deaths      []any // in queues that it has left, the latest first, as the header x-death has them
	hops        int   // how many of them since a client has rejected it, or published it

	bcc     []string
	headers wire.Table // decoded on demand
	decoded bool
}

// NewMessage reads what a broker needs to know of the properties, which it keeps, as it does the body.
func NewMessage(exchange, key string, properties, body []byte) (*Message, *Refusal) {
	m := &Message{Exchange: exchange, Key: key, Properties: properties, Body: body}
	flags := wire.Property(binary.BigEndian.Uint16(properties))
	if flags&wire.PropertyDeliveryMode != 0 {
		mode, _ := wire.LookupProperty(properties, wire.PropertyDeliveryMode)
		m.Persistent = mode[0] == 2
	}
	if flags&wire.PropertyPriority != 0 {
		priority, _ := wire.LookupProperty(properties, wire.PropertyPriority)
		m.Priority, m.hasPriority = priority[0], true
	}
	if flags&wire.PropertyExpiration != 0 {
		if r := m.readExpiration(); r != nil {
			return nil, r
		}
	}
	if m.hasHeaders() {
		if r := m.readKeys(); r != nil {
			return nil, r
		}
	}
	return m, nil
}

// maxTTL is the longest time that RabbitMQ accepts, in milliseconds.
const maxTTL = 315360000000 // ten years

func (m *Message) readExpiration() *Refusal {
	raw, _ := wire.LookupProperty(m.Properties, wire.PropertyExpiration)
	text := string(raw)
	digits := 0
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		digits = 1
	}
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	n, err := strconv.ParseInt(text[:digits], 10, 64)
	reason := ""
	switch {
	case err != nil:
		reason = "no_integer"
	case digits < len(text):
		reason = `{leftover_string,"` + text[digits:] + `"}`
	case n < 0:
		reason = "{value_negative," + text + "}"
	case n > maxTTL:
		reason = "{value_too_large," + text + "}"
	}
	if reason != "" {
		return Refuse(PreconditionFailed, "invalid expiration '%s': %s", text, reason)
	}
	m.TTL, m.HasTTL = time.Duration(n)*time.Millisecond, true
	return nil
}

// readKeys takes the keys out of CC and BCC, and the header BCC out of the properties.
func (m *Message) readKeys() *Refusal {
	cc, hasCC := wire.LookupHeader(m.Properties, "CC")
	bcc, hasBCC := wire.LookupHeader(m.Properties, "BCC")
	if !hasCC && !hasBCC {
		return nil
	}
	keys, r := keyList("CC", cc, hasCC)
	if r != nil {
		return r
	}
	blind, r := keyList("BCC", bcc, hasBCC)
	if r != nil {
		return r
	}
	m.bcc = blind
	m.MoreKeys = append(keys, blind...)
	if hasBCC {
		m.edit(func(p *wire.Properties) { delete(p.Headers, "BCC") })
	}
	return nil
}

func keyList(name string, v any, present bool) ([]string, *Refusal) {
	if !present {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, Refuse(PreconditionFailed, "invalid message: {unacceptable_type_in_header,\"%s\",%s}", name, typeName(v))
	}
	var keys []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			keys = append(keys, s)
		}
	}
	return keys, nil
}

// Headers returns the message's headers; they are not to be changed.
func (m *Message) Headers() wire.Table {
	if !m.decoded {
		m.decoded = true
		p, _ := wire.DecodeProperties(m.Properties) // checked when it came in
		m.headers = p.Headers
	}
	return m.headers
}

// edit changes the properties. Only its maker may do that.
func (m *Message) edit(change func(*wire.Properties)) {
	m.Properties = EditProperties(m.Properties, change)
	m.headers, m.decoded = nil, false
}

// EditProperties returns encoded properties, changed.
func EditProperties(raw []byte, change func(*wire.Properties)) []byte {
	p, _ := wire.DecodeProperties(raw)
	change(&p)
	edited, err := EncodeProperties(&p)
	if err != nil {
		return raw // a header without a form on the wire cannot have come over it
	}
	return edited
}

// EncodeProperties returns properties in their form on the wire, as [NewMessage] takes them.
func EncodeProperties(p *wire.Properties) ([]byte, error) {
	const fixed = 7 + 12 // of a content header frame, in front of the properties
	frame, err := wire.AppendHeader(nil, 1, wire.ClassBasic, 0, p)
	if err != nil {
		return nil, err
	}
	return frame[fixed : len(frame)-1], nil
}
