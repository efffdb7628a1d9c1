package wire

import (
	"maps"
	"slices"
)

// Limits on what a table may hold, in both directions, unless a [Decoder] says otherwise.
const (
	maxDepth  = 32    // tables and arrays inside each other, the outermost counted
	maxFields = 16384 // table fields and array elements in one method or content header
)

// Table is an AMQP field table: arguments of a declaration, headers of a message. Keys have at most 255
// octets.
//
// Values, with the type octet they have on the wire (RabbitMQ's, see the package comment):
//
//	bool t   int8 b   int16 s    int32 I    int64 l   float32 f   float64 d
//	         uint8 B  uint16 u   uint32 i   Decimal D
//	string S    []byte x    time.Time T    Table F    []any A    nil V
//
// Decoding yields exactly these; U reads as int16 and L as int64. Numbers keep their width on a round trip.
// A string may hold any octets. A time has whole seconds, in UTC.
//
// Encoding also accepts int (I if it fits, otherwise l), uint and uint64 (i if it fits, otherwise l, and an
// error beyond int64), map[string]any, map[string]string, and slices of Table, map[string]any, string, bool
// and numbers. Anything else is an error: a time.Duration, for instance, since AMQP has no unit for it.
// The zero time is an error, others before 1970 are not. Keys are written in ascending order, so equal tables have equal bytes.
//
// Nesting deeper than 32 levels and more than 16384 fields and elements in all are refused both ways. When a
// key occurs twice in received bytes the last one counts.
type Table map[string]any

// Decimal is the number Value × 10^-Scale.
type Decimal struct {
	Scale uint8
	Value int32
}

// AppendTable appends t with its length in front. On an error, a [*FieldError], dst is returned as it was.
func AppendTable(dst []byte, t Table) ([]byte, error) {
	b, err := appendTable(dst, t)
	if err != nil {
		return dst, err
	}
	return b, nil
}

// ValidateTable returns the [*FieldError] that encoding t would return.
func ValidateTable(t Table) error {
	_, err := AppendTable(nil, t)
	return err
}

// Canonical returns t as a peer decodes it, each value with the type that it has on the wire, nil for nil.
// The error is that of [AppendTable].
func (t Table) Canonical() (Table, error) {
	if t == nil {
		return nil, nil
	}
	b, err := AppendTable(nil, t)
	if err != nil {
		return nil, err
	}
	return decodeTable(b[4:]), nil // behind its length
}

// Clone returns a copy that shares no map or slice with t, nil for nil. It does not end for a table that
// contains itself; [ValidateTable] refuses those.
func (t Table) Clone() Table {
	if t == nil {
		return nil
	}
	c := make(Table, len(t))
	for k, v := range t {
		c[k] = cloneValue(v)
	}
	return c
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case Table:
		return v.Clone()
	case map[string]any:
		return map[string]any(Table(v).Clone())
	case map[string]string:
		return maps.Clone(v)
	case []any:
		return cloneSlice(v, cloneValue)
	case []Table:
		return cloneSlice(v, Table.Clone)
	case []map[string]any:
		return cloneSlice(v, func(m map[string]any) map[string]any { return Table(m).Clone() })
	case []byte:
		return slices.Clone(v)
	case []string:
		return slices.Clone(v)
	case []bool:
		return slices.Clone(v)
	case []int:
		return slices.Clone(v)
	case []int8:
		return slices.Clone(v)
	case []int16:
		return slices.Clone(v)
	case []int32:
		return slices.Clone(v)
	case []int64:
		return slices.Clone(v)
	case []uint:
		return slices.Clone(v)
	case []uint16:
		return slices.Clone(v)
	case []uint32:
		return slices.Clone(v)
	case []uint64:
		return slices.Clone(v)
	case []float32:
		return slices.Clone(v)
	case []float64:
		return slices.Clone(v)
	default:
		return v
	}
}

func cloneSlice[E any](s []E, clone func(E) E) []E {
	if s == nil {
		return nil
	}
	c := make([]E, len(s))
	for i, e := range s {
		c[i] = clone(e)
	}
	return c
}
