package wire

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/warren-mq/warren/internal/errs"
)

// bitRun writes consecutive bits.
func bitRun(set ...int) func(*fieldWriter) {
	return func(w *fieldWriter) {
		for _, b := range set {
			v := b != 0
			w.bit("bit", &v)
		}
	}
}

func shortstr(s string) func(*fieldWriter) {
	return func(w *fieldWriter) { w.shortstr("routing-key", &s) }
}
func longstr(s string) func(*fieldWriter) { return func(w *fieldWriter) { w.longstr("locales", &s) } }

func pointer[T any](v T) *T { return &v }

func TestFieldWriter(t *testing.T) {
	tests := []struct {
		name  string
		write func(*fieldWriter)
		want  string
	}{
		{"nothing", func(*fieldWriter) {}, ""},
		{"one bit", bitRun(1), "01"},
		{"four bits, lowest first", bitRun(1, 1, 0, 1), "0b"},
		{"an octet ends a run of bits", func(w *fieldWriter) {
			bitRun(1, 1, 0)(w)
			w.octet("octet", pointer(uint8(10)))
			bitRun(1)(w)
		}, "030a01"},
		{"twenty bits take three octets", bitRun(1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0), "555505"},
		{"eight bits take one octet", bitRun(1, 0, 0, 0, 0, 0, 0, 1), "81"},
		{"octet, largest", func(w *fieldWriter) { w.octet("", pointer(uint8(math.MaxUint8))) }, "ff"},
		{"short", func(w *fieldWriter) { w.short("", pointer(uint16(0x0102))) }, "0102"},
		{"short, largest", func(w *fieldWriter) { w.short("", pointer(uint16(math.MaxUint16))) }, "ffff"},
		{"long", func(w *fieldWriter) { w.long("", pointer(uint32(0x01020304))) }, "01020304"},
		{"long, largest", func(w *fieldWriter) { w.long("", pointer(uint32(math.MaxUint32))) }, "ffffffff"},
		{"longlong", func(w *fieldWriter) { w.longlong("", pointer(uint64(0x0102030405060708))) }, "0102030405060708"},
		{"longlong, largest", func(w *fieldWriter) { w.longlong("", pointer(uint64(math.MaxUint64))) }, "ffffffffffffffff"},
		{"empty shortstr", shortstr(""), "00"},
		{"shortstr", shortstr("hello"), "0568656c6c6f"},
		{"shortstr of 255 octets", shortstr(strings.Repeat("a", 255)), "ff" + strings.Repeat("61", 255)},
		{"empty longstr", longstr(""), "00000000"},
		{"longstr of 512 octets", longstr(strings.Repeat("a", 512)), "00000200" + strings.Repeat("61", 512)},
		{"longstr with any octets", longstr("\x00\xff\xfe"), "0000000300fffe"},
		{"empty table", func(w *fieldWriter) { w.table("", &Table{}) }, "00000000"},
		{"no table", func(w *fieldWriter) { w.table("", new(Table)) }, "00000000"},
		{"reserved fields are zero", func(w *fieldWriter) {
			w.reserved(typeShort)
			w.reserved(typeShortstr)
			w.reserved(typeLongstr)
			w.reserved(typeBit)
		}, "0000" + "00" + "00000000" + "00"},
		{"a reserved bit shares the octet", func(w *fieldWriter) {
			bitRun(1)(w)
			w.reserved(typeBit)
			bitRun(1)(w)
		}, "05"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &fieldWriter{}
			tt.write(w)
			if w.err != nil {
				t.Fatal(w.err)
			}
			if got := hex.EncodeToString(w.b); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestEveryOctetAsItIs(t *testing.T) {
	w := &fieldWriter{}
	for i := range 256 {
		w.octet("octet", pointer(uint8(i)))
		if w.b[i] != byte(i) {
			t.Fatalf("octet %d written as %d", i, w.b[i])
		}
	}
}

func TestFieldWriterRefuses(t *testing.T) {
	tests := []struct {
		name  string
		write func(*fieldWriter)
		path  string
	}{
		{"shortstr of 256 octets", shortstr(strings.Repeat("x", 256)), "routing key"},
		{"shortstr of 128 characters in 256 octets", shortstr(strings.Repeat("Ā", 128)), "routing key"},
		{"the first error stays", func(w *fieldWriter) {
			w.table("server-properties", &Table{"a": struct{}{}})
			shortstr(strings.Repeat("x", 256))(w)
		}, "server properties.a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &fieldWriter{}
			tt.write(w)
			e, ok := errs.AsType[*FieldError](w.err)
			if !ok {
				t.Fatalf("error %v is no *FieldError", w.err)
			}
			if e.Path != tt.path {
				t.Errorf("path %q, want %q", e.Path, tt.path)
			}
		})
	}
}

func TestFieldReaderMirrorsWriter(t *testing.T) {
	w := &fieldWriter{}
	bitRun(1, 0, 1, 1, 0, 0, 0, 1, 1)(w)
	shortstr("a")(w)
	bitRun(0, 1)(w)
	r := &fieldReader{b: w.b}
	var got []byte
	read := func(n int) {
		for range n {
			var v bool
			r.bit("bit", &v)
			got = append(got, "01"[map[bool]int{true: 1}[v]])
		}
	}
	read(9)
	var s string
	r.shortstr("s", &s)
	read(2)
	if r.err != nil || s != "a" || !bytes.Equal(got, []byte("10110001101")) || len(r.b) != 0 {
		t.Errorf("read %s, %q, %d octets left, error %v", got, s, len(r.b), r.err)
	}
}
