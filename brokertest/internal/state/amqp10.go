package state

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/warren-mq/warren/core/wire"
)

// RabbitMQ keeps the messages of streams in the form of AMQP 1.0, where not every header of AMQP 0.9.1 has a place.
// Properties come back as they were; headers as this file says.

// canHold reports whether a stream can hold the message; any other queue can. A decimal has no form in AMQP 1.0,
// since RabbitMQ 4.0 what a stream is filtered by has to be text, and since 4.3 where replies go.
func (q *Queue) canHold(m *Message) bool {
	if q.Kind != kindStream {
		return true
	}
	if replyTo, ok := wire.LookupProperty(m.Properties, wire.PropertyReplyTo); ok && !q.vhost.Before43 && !utf8.Valid(replyTo) {
		return false
	}
	if !m.hasHeaders() {
		return true
	}
	if filter, ok := m.Headers()[argStreamFilter+"-value"]; ok && !q.vhost.Before40 {
		if text, ok := filter.(string); !ok || !utf8.ValidString(text) {
			return false
		}
	}
	for key, value := range m.Headers() {
		if q.vhost.keepsHeader(key, value) && hasDecimal(value) {
			return false
		}
	}
	return true
}

// asStreams returns a message as those get it who read it from a stream. Since RabbitMQ 4.0, octets are text then.
func (v *VHost) asStreams(m *Message) *Message {
	kept := *m
	if !m.hasHeaders() {
		return &kept
	}
	kept.edit(func(p *wire.Properties) {
		for key, value := range p.Headers {
			switch {
			case !v.keepsHeader(key, value), !v.Before40 && internalHeader(key, m):
				delete(p.Headers, key)
			case !v.Before40:
				p.Headers[key] = octetsAsText(value)
			}
		}
	})
	return &kept
}

// keepsHeader reports whether a header has a place. Lists and tables have one only since RabbitMQ 4.0, and among
// the annotations, where headers go that begin with x-.
func (v *VHost) keepsHeader(key string, value any) bool {
	switch value.(type) {
	case []any:
		return !v.Before40 && (strings.HasPrefix(key, "x-") || key == "CC")
	case wire.Table:
		return !v.Before40 && strings.HasPrefix(key, "x-")
	}
	return true
}

// internalHeader reports whether a header has a name that RabbitMQ has its own annotations under, and so keeps to
// itself.
func internalHeader(key string, m *Message) bool {
	switch key {
	case "x-death":
		return m.deaths == nil // a client's word
	case "x-routing-key", "x-exchange", "x-opt-deaths", "x-cc":
		return true
	}
	return strings.HasPrefix(key, "x-basic-")
}

func octetsAsText(value any) any {
	switch value := value.(type) {
	case []byte:
		return string(value)
	case []any:
		list := slices.Clone(value)
		for i := range list {
			list[i] = octetsAsText(list[i])
		}
		return list
	case wire.Table:
		table := value.Clone()
		for key := range table {
			table[key] = octetsAsText(table[key])
		}
		return table
	}
	return value
}

func hasDecimal(value any) bool {
	switch value := value.(type) {
	case wire.Decimal:
		return true
	case []any:
		return slices.ContainsFunc(value, hasDecimal)
	case wire.Table:
		for _, v := range value {
			if hasDecimal(v) {
				return true
			}
		}
	}
	return false
}

func (m *Message) hasHeaders() bool {
	return wire.Property(binary.BigEndian.Uint16(m.Properties))&wire.PropertyHeaders != 0
}
