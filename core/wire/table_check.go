package wire

import "fmt"

// DepthLimit is how many tables and arrays inside each other are decoded at the most, whatever limit is set:
// each level takes a piece of the goroutine's stack.
const DepthLimit = 1 << 15

// limits is what is left of the allowance for the tables of one payload.
type limits struct {
	depth  int // levels allowed
	fields int // fields and elements allowed from here on
}

// checkTable walks the table at the front of b, its length included, without decoding it, and returns what
// follows it. The reason is empty if the table is well formed and within the limits.
func (l *limits) checkTable(b []byte) (rest []byte, reason string) { return l.table(b, l.depth) }

func (l *limits) table(b []byte, depth int) (rest []byte, reason string) {
	body, rest, ok := cutLongstr(b)
	if !ok {
		return nil, "table " + reasonLength
	}
	if depth <= 0 {
		return nil, "tables nested too deep"
	}
	for len(body) > 0 {
		_, value, ok := cutShortstr(body)
		if !ok {
			return nil, "key longer than its table"
		}
		if body, reason = l.value(value, depth-1); reason != "" {
			return nil, reason
		}
	}
	return rest, ""
}

func (l *limits) array(b []byte, depth int) (rest []byte, reason string) {
	body, rest, ok := cutLongstr(b)
	if !ok {
		return nil, "array " + reasonLength
	}
	if depth <= 0 {
		return nil, "arrays nested too deep"
	}
	for len(body) > 0 {
		if body, reason = l.value(body, depth-1); reason != "" {
			return nil, reason
		}
	}
	return rest, ""
}

// value walks the value at the front of b, its type included; depth is the number of levels allowed below it.
func (l *limits) value(b []byte, depth int) (rest []byte, reason string) {
	if l.fields--; l.fields < 0 {
		return nil, "too many fields"
	}
	if len(b) == 0 {
		return nil, "field without a value"
	}
	tag, b := b[0], b[1:]
	switch tag {
	case 'F':
		return l.table(b, depth)
	case 'A':
		return l.array(b, depth)
	case 'S', 'x':
		_, rest, ok := cutLongstr(b)
		if !ok {
			return nil, "string " + reasonLength
		}
		return rest, ""
	}
	size := valueSize(tag)
	if size < 0 {
		return nil, fmt.Sprintf("unknown field type 0x%02x", tag)
	}
	if len(b) < size {
		return nil, "value " + reasonLength
	}
	return b[size:], ""
}

// valueSize is the size of the values of a type behind the type octet, -1 if there is no such type of fixed size.
func valueSize(tag byte) int {
	switch tag {
	case 'V':
		return 0
	case 't', 'b', 'B':
		return 1
	case 's', 'U', 'u':
		return 2
	case 'I', 'i', 'f':
		return 4
	case 'D':
		return 5
	case 'l', 'L', 'd', 'T':
		return 8
	}
	return -1
}
