package wire

import (
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// decodeTable decodes the fields of a table that has passed [limits.checkTable]; b is without the length.
func decodeTable(b []byte) Table {
	t := Table{}
	for len(b) > 0 {
		key, value, _ := cutShortstr(b)
		t[string(key)], b = decodeValue(value)
	}
	return t
}

func decodeArray(b []byte) []any {
	a := []any{}
	for len(b) > 0 {
		var v any
		v, b = decodeValue(b)
		a = append(a, v)
	}
	return a
}

// decodeValue decodes the checked value at the front of b, its type included.
func decodeValue(b []byte) (v any, rest []byte) {
	tag, b := b[0], b[1:]
	switch tag {
	case 'F', 'A', 'S', 'x':
		body, rest, _ := cutLongstr(b)
		return decodeLong(tag, body), rest
	}
	size := valueSize(tag)
	return decodeFixed(tag, b[:size]), b[size:]
}

func decodeLong(tag byte, body []byte) any {
	switch tag {
	case 'F':
		return decodeTable(body)
	case 'A':
		return decodeArray(body)
	case 'S':
		return string(body)
	default:
		return slices.Clone(body)
	}
}

func decodeFixed(tag byte, b []byte) any {
	switch tag {
	case 't':
		return b[0] != 0
	case 'b':
		return int8(b[0])
	case 'B':
		return b[0]
	case 's', 'U':
		return int16(binary.BigEndian.Uint16(b))
	case 'u':
		return binary.BigEndian.Uint16(b)
	case 'I':
		return int32(binary.BigEndian.Uint32(b))
	case 'i':
		return binary.BigEndian.Uint32(b)
	case 'f':
		return math.Float32frombits(binary.BigEndian.Uint32(b))
	case 'l', 'L':
		return int64(binary.BigEndian.Uint64(b))
	case 'd':
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	case 'D':
		return Decimal{Scale: b[0], Value: int32(binary.BigEndian.Uint32(b[1:]))}
	case 'T':
		return decodeTimestamp(b)
	default: // 'V'
		return nil
	}
}

// decodeTimestamp reads seconds since 1970. The upper half of the 64 bits becomes times before 1970, as many
// clients write them, so that no message is refused for a nonsensical time and no two times become one. The one
// that Go takes for no time gets a nanosecond, which is not written.
func decodeTimestamp(b []byte) time.Time {
	t := time.Unix(int64(binary.BigEndian.Uint64(b)), 0).UTC()
	if t.IsZero() {
		t = t.Add(1)
	}
	return t
}
