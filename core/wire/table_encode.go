package wire

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// tableWriter encodes one table with all that is in it.
type tableWriter struct {
	b      []byte
	fields int // how many more fields and elements are allowed
}

func appendTable(dst []byte, t Table) ([]byte, *FieldError) {
	if len(t) == 0 {
		return append(dst, 0, 0, 0, 0), nil
	}
	w := tableWriter{b: dst, fields: maxFields}
	if err := writeTable(&w, t, maxDepth); err != nil {
		return nil, err
	}
	if len(w.b)-len(dst) > maxLong {
		return nil, &FieldError{Reason: reasonTooLong}
	}
	return w.b, nil
}

// writeTable writes t with its length in front; depth is the number of levels allowed from here.
func writeTable[V any](w *tableWriter, t map[string]V, depth int) *FieldError {
	if depth == 0 {
		return tooDeep()
	}
	var few [16]string
	keys := few[:0]
	for k := range t {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	start := w.begin()
	for _, k := range keys {
		if len(k) > maxShortstr {
			return &FieldError{Path: pathKey(k), Reason: fmt.Sprintf("key longer than %d octets", maxShortstr)}
		}
		w.b = appendShortstr(w.b, k)
		if err := w.value(t[k], depth-1); err != nil {
			return err.under(pathKey(k))
		}
	}
	w.end(start)
	return nil
}

// writeArray writes s with its length in front; depth is the number of levels allowed from here.
func writeArray[E any](w *tableWriter, s []E, depth int) *FieldError {
	if depth == 0 {
		return tooDeep()
	}
	start := w.begin()
	for i, v := range s {
		if err := w.value(v, depth-1); err != nil {
			return err.under("[" + strconv.Itoa(i) + "]")
		}
	}
	w.end(start)
	return nil
}

// begin leaves room for a length, end fills it in.
func (w *tableWriter) begin() (start int) {
	w.b = append(w.b, 0, 0, 0, 0)
	return len(w.b)
}

func (w *tableWriter) end(start int) {
	binary.BigEndian.PutUint32(w.b[start-4:], uint32(len(w.b)-start))
}

// value writes v with its type in front; depth is the number of levels allowed below it.
func (w *tableWriter) value(v any, depth int) *FieldError {
	if w.fields--; w.fields < 0 {
		return &FieldError{Reason: fmt.Sprintf("more than %d fields in the table", maxFields)}
	}
	switch v := v.(type) {
	case nil:
		w.b = append(w.b, 'V')
	case string:
		w.b = appendLongstr(append(w.b, 'S'), v)
	case []byte:
		w.b = appendLongstr(append(w.b, 'x'), v)
	case bool:
		w.b = append(w.b, 't', 0)
		if v {
			w.b[len(w.b)-1] = 1
		}
	case Decimal:
		w.b = binary.BigEndian.AppendUint32(append(w.b, 'D', v.Scale), uint32(v.Value))
	case time.Time:
		return w.timestamp(v)
	case time.Duration:
		return &FieldError{Reason: "time.Duration has no unit in AMQP; give milliseconds as an integer (d.Milliseconds())"}
	default:
		if w.number(v) {
			return nil
		}
		return w.container(v, depth)
	}
	return nil
}

func (w *tableWriter) timestamp(t time.Time) *FieldError {
	if t.IsZero() {
		return &FieldError{Reason: "the zero time stands for none; leave the field out"}
	}
	w.b = appendTimestamp(append(w.b, 'T'), t)
	return nil
}

// container writes tables and arrays.
func (w *tableWriter) container(v any, depth int) *FieldError {
	w.b = append(w.b, 'A')
	switch v := v.(type) {
	case Table:
		w.b[len(w.b)-1] = 'F'
		return writeTable(w, v, depth)
	case map[string]any:
		w.b[len(w.b)-1] = 'F'
		return writeTable(w, v, depth)
	case map[string]string:
		w.b[len(w.b)-1] = 'F'
		return writeTable(w, v, depth)
	case []any:
		return writeArray(w, v, depth)
	case []Table:
		return writeArray(w, v, depth)
	case []map[string]any:
		return writeArray(w, v, depth)
	case []string:
		return writeArray(w, v, depth)
	case []bool:
		return writeArray(w, v, depth)
	case []int:
		return writeArray(w, v, depth)
	case []int8:
		return writeArray(w, v, depth)
	case []int16:
		return writeArray(w, v, depth)
	case []int32:
		return writeArray(w, v, depth)
	case []int64:
		return writeArray(w, v, depth)
	case []uint:
		return writeArray(w, v, depth)
	case []uint16:
		return writeArray(w, v, depth)
	case []uint32:
		return writeArray(w, v, depth)
	case []uint64:
		return writeArray(w, v, depth)
	case []float32:
		return writeArray(w, v, depth)
	case []float64:
		return writeArray(w, v, depth)
	case uint, uint64: // number refuses only what is too large
		return &FieldError{Reason: "exceeds the 63 bits of AMQP's widest integer"}
	default:
		return &FieldError{Reason: fmt.Sprintf("type %T has no form in a field table", v)}
	}
}

func tooDeep() *FieldError {
	return &FieldError{Reason: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
}

// appendTimestamp is the counterpart of decodeTimestamp.
func appendTimestamp(dst []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t.Unix()))
}

// pathKey is a key as part of an error's path, safe to print.
func pathKey(k string) string {
	const most = 64
	if len(k) > most {
		return strconv.QuoteToASCII(k[:most]) + "…"
	}
	for _, r := range k {
		if r <= ' ' || r >= 0x7f || r == '"' {
			return strconv.QuoteToASCII(k)
		}
	}
	return k
}
