package wire

import (
	"encoding/binary"
	"math"
)

// number writes v with its type in front and reports whether it is a number that fits.
func (w *tableWriter) number(v any) bool {
	switch v := v.(type) {
	case int8:
		w.b = append(w.b, 'b', byte(v))
	case uint8:
		w.b = append(w.b, 'B', v)
	case int16:
		w.b = binary.BigEndian.AppendUint16(append(w.b, 's'), uint16(v))
	case uint16:
		w.b = binary.BigEndian.AppendUint16(append(w.b, 'u'), v)
	case int32:
		w.b = binary.BigEndian.AppendUint32(append(w.b, 'I'), uint32(v))
	case uint32:
		w.b = binary.BigEndian.AppendUint32(append(w.b, 'i'), v)
	case int64:
		w.b = binary.BigEndian.AppendUint64(append(w.b, 'l'), uint64(v))
	case int:
		if int(int32(v)) == v {
			return w.number(int32(v))
		}
		return w.number(int64(v))
	case uint:
		return w.number(uint64(v))
	case uint64:
		if v <= math.MaxUint32 {
			return w.number(uint32(v))
		}
		return v <= math.MaxInt64 && w.number(int64(v))
	case float32:
		w.b = binary.BigEndian.AppendUint32(append(w.b, 'f'), math.Float32bits(v))
	case float64:
		w.b = binary.BigEndian.AppendUint64(append(w.b, 'd'), math.Float64bits(v))
	default:
		return false
	}
	return true
}
