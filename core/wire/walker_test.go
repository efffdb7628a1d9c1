package wire

import (
	"fmt"
	"slices"
	"testing"
)

// filler is a walker that gives every field a value of its own.
type filler struct{ n int }

func (f *filler) next() int { f.n++; return f.n }

func (f *filler) bit(_ string, v *bool)        { *v = true }
func (f *filler) octet(_ string, v *uint8)     { *v = uint8(f.next()) }
func (f *filler) short(_ string, v *uint16)    { *v = uint16(0x0100 + f.next()) }
func (f *filler) long(_ string, v *uint32)     { *v = 0x01020300 + uint32(f.next()) }
func (f *filler) longlong(_ string, v *uint64) { *v = 0x0102030405060700 + uint64(f.next()) }
func (f *filler) shortstr(name string, v *string) {
	*v = fmt.Sprintf("%s-%d", name, f.next())
}
func (f *filler) longstr(name string, v *string) {
	*v = fmt.Sprintf("%s-%d\x00\xff", name, f.next())
}
func (f *filler) opaque(name string, v *[]byte) {
	*v = fmt.Appendf(nil, "%s-%d\x00\xff", name, f.next())
}
func (f *filler) table(name string, v *Table) {
	*v = Table{name: int32(f.next()), "nested": Table{"a": []any{"b", nil, true}}}
}
func (f *filler) reserved(fieldType) {}

// fieldNote is what the recorder notes of a field.
type fieldNote struct {
	kind, name string
	reserved   bool
	at         any // pointer to the field
}

// recorder is a walker that notes the fields of a method.
type recorder struct{ fields []fieldNote }

func (r *recorder) note(kind, name string, at any) {
	r.fields = append(r.fields, fieldNote{kind: kind, name: name, at: at})
}

func (r *recorder) bit(name string, v *bool)        { r.note("bit", name, v) }
func (r *recorder) octet(name string, v *uint8)     { r.note("octet", name, v) }
func (r *recorder) short(name string, v *uint16)    { r.note("short", name, v) }
func (r *recorder) long(name string, v *uint32)     { r.note("long", name, v) }
func (r *recorder) longlong(name string, v *uint64) { r.note("longlong", name, v) }
func (r *recorder) shortstr(name string, v *string) { r.note("shortstr", name, v) }
func (r *recorder) longstr(name string, v *string)  { r.note("longstr", name, v) }
func (r *recorder) opaque(name string, v *[]byte)   { r.note("longstr", name, v) }
func (r *recorder) table(name string, v *Table)     { r.note("table", name, v) }

func (r *recorder) reserved(t fieldType) {
	kind := map[fieldType]string{typeBit: "bit", typeShort: "short", typeShortstr: "shortstr", typeLongstr: "longstr"}[t]
	r.fields = append(r.fields, fieldNote{kind: kind, reserved: true})
}

// allMethods returns every method that the package knows, in order of its id, with all fields set.
func allMethods() []Method {
	var ids []MethodID
	for id := range methods {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var all []Method
	for _, id := range ids {
		m := NewMethod(id)
		m.fields(&filler{})
		all = append(all, m)
	}
	return all
}

func TestFillerReachesEveryField(t *testing.T) {
	for _, m := range allMethods() {
		r := &recorder{}
		m.fields(r)
		for _, f := range r.fields {
			if f.reserved {
				continue
			}
			if s := fmt.Sprintf("%v", deref(f.at)); s == "" || s == "0" || s == "false" || s == "map[]" {
				t.Errorf("%s: field %s was left empty", m.ID(), f.name)
			}
		}
	}
}

func deref(p any) any {
	switch p := p.(type) {
	case *bool:
		return *p
	case *uint8:
		return *p
	case *uint16:
		return *p
	case *uint32:
		return *p
	case *uint64:
		return *p
	case *string:
		return *p
	case *[]byte:
		return *p
	case *Table:
		return *p
	}
	panic(fmt.Sprintf("field of type %T", p))
}
