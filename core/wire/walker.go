package wire

// walker visits the arguments of a method in wire order. Writer, reader and the tests' recorders implement
// it, so each method lists its arguments once. Names and types are those of the specification.
type walker interface {
	// bit shares an octet with the bits next to it, lowest first.
	bit(name string, v *bool)
	octet(name string, v *uint8)
	short(name string, v *uint16)
	long(name string, v *uint32)
	longlong(name string, v *uint64)
	shortstr(name string, v *string)
	longstr(name string, v *string)
	// opaque is a longstr that is not text.
	opaque(name string, v *[]byte)
	table(name string, v *Table)
	// reserved is a field without meaning: zero when written, ignored when read.
	reserved(t fieldType)
}

// fieldType is the type of a reserved field.
type fieldType uint8

const (
	typeBit fieldType = iota
	typeShort
	typeShortstr
	typeLongstr
)
