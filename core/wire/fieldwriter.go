package wire

import "encoding/binary"

// fieldWriter is the walker that encodes. After an error it writes nothing more.
type fieldWriter struct {
	b    []byte
	bits uint // bits used in the last octet of b; 0: the next bit starts an octet
	err  error
}

func (w *fieldWriter) bit(_ string, v *bool) {
	if w.bits%8 == 0 {
		w.b = append(w.b, 0)
		w.bits = 0
	}
	if *v {
		w.b[len(w.b)-1] |= 1 << w.bits
	}
	w.bits++
}

func (w *fieldWriter) octet(_ string, v *uint8) {
	w.bits = 0
	w.b = append(w.b, *v)
}

func (w *fieldWriter) short(_ string, v *uint16) {
	w.bits = 0
	w.b = binary.BigEndian.AppendUint16(w.b, *v)
}

func (w *fieldWriter) long(_ string, v *uint32) {
	w.bits = 0
	w.b = binary.BigEndian.AppendUint32(w.b, *v)
}

func (w *fieldWriter) longlong(_ string, v *uint64) {
	w.bits = 0
	w.b = binary.BigEndian.AppendUint64(w.b, *v)
}

func (w *fieldWriter) shortstr(name string, v *string) {
	w.bits = 0
	if len(*v) > maxShortstr {
		w.fail(tooLong(field(name)))
		return
	}
	w.b = appendShortstr(w.b, *v)
}

func (w *fieldWriter) longstr(name string, v *string) { writeLongstr(w, name, *v) }

func (w *fieldWriter) opaque(name string, v *[]byte) { writeLongstr(w, name, *v) }

func writeLongstr[S string | []byte](w *fieldWriter, name string, s S) {
	w.bits = 0
	if len(s) > maxLong {
		w.fail(&FieldError{Path: field(name), Reason: reasonTooLong})
		return
	}
	w.b = appendLongstr(w.b, s)
}

func (w *fieldWriter) table(name string, v *Table) {
	w.bits = 0
	b, err := appendTable(w.b, *v)
	if err != nil {
		w.fail(err.under(field(name)))
		return
	}
	w.b = b
}

func (w *fieldWriter) reserved(t fieldType) {
	switch t {
	case typeBit:
		w.bit("", new(bool))
	case typeShort:
		w.short("", new(uint16))
	case typeShortstr:
		w.shortstr("", new(string))
	case typeLongstr:
		w.longstr("", new(string))
	}
}

func (w *fieldWriter) fail(err *FieldError) {
	if w.err == nil {
		w.err = err
	}
}
