package wire_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
)

// tableBytes encodes t.
func tableBytes(t testing.TB, table wire.Table) []byte {
	t.Helper()
	b, err := wire.AppendTable(nil, table)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readTable decodes an encoded table, its length included, as the arguments of a method.
func readTable(b []byte) (wire.Table, error) {
	payload := append([]byte{0, 50, 0, 10, 0, 0, 1, 'q', 0}, b...)
	m, err := new(wire.Decoder).Method(payload)
	if err != nil {
		return nil, err
	}
	return m.(*wire.QueueDeclare).Arguments, nil
}

func TestTableBytes(t *testing.T) {
	tests := []struct {
		name  string
		table wire.Table
		want  string
	}{
		{"nil", nil, "00000000"},
		{"empty", wire.Table{}, "00000000"},
		{"one field", wire.Table{"foo": 7}, "00000009 03666f6f 49 00000007"},
		{"keys ascend", wire.Table{"b": nil, "a": nil, "": nil, "aa": nil}, "0000000c 00 56 0161 56 026161 56 0162 56"},
		{"array", wire.Table{"a": []any{1, "foo", nil}}, "00000015 0161 41 0000000e 49 00000001 53 00000003 666f6f 56"},
		{"array of booleans", wire.Table{"a": []any{true, 1, false}}, "00000010 0161 41 00000009 74 01 49 00000001 74 00"},
		{"nested tables", wire.Table{"a": wire.Table{"b": wire.Table{}}}, "0000000e 0161 46 00000007 0162 46 00000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := hex.EncodeToString(tableBytes(t, tt.table)), strings.ReplaceAll(tt.want, " ", ""); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestTableValues has every type of value that the wire knows.
func TestTableValues(t *testing.T) {
	tests := []struct {
		value any
		wire  string
	}{
		{true, "74 01"}, {false, "74 00"},
		{int8(-128), "62 80"}, {int8(127), "62 7f"},
		{uint8(0), "42 00"}, {uint8(255), "42 ff"},
		{int16(-32768), "73 8000"}, {int16(258), "73 0102"},
		{uint16(65535), "75 ffff"},
		{int32(math.MinInt32), "49 80000000"}, {int32(math.MaxInt32), "49 7fffffff"},
		{uint32(math.MaxUint32), "69 ffffffff"}, {uint32(0), "69 00000000"},
		{int64(math.MinInt64), "6c 8000000000000000"}, {int64(1), "6c 0000000000000001"},
		{float32(1.5), "66 3fc00000"}, {float64(-0.5), "64 bfe0000000000000"}, {math.Inf(1), "64 7ff0000000000000"},
		{wire.Decimal{Scale: 1, Value: 101}, "44 01 00000065"}, {wire.Decimal{Scale: 255, Value: -1}, "44 ff ffffffff"},
		{"", "53 00000000"}, {"é\x00\xff", "53 00000004 c3a900ff"},
		{[]byte{}, "78 00000000"}, {[]byte{1, 255}, "78 00000002 01ff"},
		{time.Unix(0, 0).UTC(), "54 0000000000000000"}, {time.Unix(1<<33, 0).UTC(), "54 0000000200000000"},
		{wire.Table{}, "46 00000000"}, {wire.Table{"k": int8(1)}, "46 00000004 016b 62 01"},
		{[]any{}, "41 00000000"}, {[]any{uint8(1), []any{nil}}, "41 00000008 42 01 41 00000001 56"},
		{nil, "56"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%T %v", tt.value, tt.value), func(t *testing.T) {
			b := tableBytes(t, wire.Table{"k": tt.value})
			if got, want := hex.EncodeToString(b[4+2:]), strings.ReplaceAll(tt.wire, " ", ""); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			back, err := readTable(b)
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := back["k"]; !ok || !reflect.DeepEqual(v, tt.value) {
				t.Errorf("reads back as %T %v", v, v)
			}
		})
	}
}

// TestTableValuesOnlyRead has the types that other peers send.
func TestTableValuesOnlyRead(t *testing.T) {
	tests := []struct {
		wire string
		want any
	}{
		{"55 ffff", int16(-1)},
		{"4c ffffffffffffffff", int64(-1)},
		{"74 02", true},
		{"54 ffffffffffffffff", time.Unix(-1, 0).UTC()},
		{"54 8000000000000000", time.Unix(math.MinInt64, 0).UTC()},
	}
	for _, tt := range tests {
		value := unhex(t, tt.wire)
		b := append([]byte{0, 0, 0, byte(2 + len(value)), 1, 'k'}, value...)
		got, err := readTable(b)
		if err != nil || !reflect.DeepEqual(got, wire.Table{"k": tt.want}) {
			t.Errorf("%s: %v, error %v; want %v", tt.wire, got, err, tt.want)
		}
	}
}

// TestTableAcceptsGoTypes has what callers write and what is read back for it.
func TestTableAcceptsGoTypes(t *testing.T) {
	tests := []struct{ in, want any }{
		{0, int32(0)},
		{math.MaxInt32, int32(math.MaxInt32)},
		{math.MinInt32, int32(math.MinInt32)},
		{uint(7), uint32(7)},
		{uint(math.MaxUint32), uint32(math.MaxUint32)},
		{uint64(math.MaxUint32 + 1), int64(math.MaxUint32 + 1)},
		{uint64(math.MaxInt64), int64(math.MaxInt64)},
		{map[string]any{"a": 1}, wire.Table{"a": int32(1)}},
		{map[string]any(nil), wire.Table{}},
		{wire.Table(nil), wire.Table{}},
		{map[string]string{"b": "2", "a": "1"}, wire.Table{"a": "1", "b": "2"}},
		{[]string{"a", "b"}, []any{"a", "b"}},
		{[]int{1, -1}, []any{int32(1), int32(-1)}},
		{[]int8{-1}, []any{int8(-1)}},
		{[]int16{-1}, []any{int16(-1)}},
		{[]int32{-1}, []any{int32(-1)}},
		{[]int64{-1}, []any{int64(-1)}},
		{[]uint{1}, []any{uint32(1)}},
		{[]uint16{1}, []any{uint16(1)}},
		{[]uint32{1}, []any{uint32(1)}},
		{[]uint64{1}, []any{uint32(1)}},
		{[]float32{1}, []any{float32(1)}},
		{[]float64{1}, []any{float64(1)}},
		{[]bool{true, true, false}, []any{true, true, false}},
		{[]wire.Table{{"a": nil}, nil}, []any{wire.Table{"a": nil}, wire.Table{}}},
		{[]map[string]any{{"a": nil}}, []any{wire.Table{"a": nil}}},
		{[]any(nil), []any{}},
		{[]byte(nil), []byte{}},
		{time.Date(2026, 1, 2, 3, 4, 5, 999_999_999, time.FixedZone("", 3600)), time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%T %v", tt.in, tt.in), func(t *testing.T) {
			in := wire.Table{"k": tt.in}
			got, err := readTable(tableBytes(t, in))
			if err != nil || !reflect.DeepEqual(got, wire.Table{"k": tt.want}) {
				t.Errorf("got %#v, error %v; want %#v", got, err, tt.want)
			}
			if c := in.Clone(); !reflect.DeepEqual(c, in) {
				t.Errorf("clone is %#v", c)
			}
		})
	}
}

func TestTableWidensInt(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("int has 32 bits here")
	}
	for _, n := range []int64{math.MaxInt32 + 1, math.MinInt32 - 1, 5_000_000_000, math.MaxInt64, math.MinInt64} {
		got, err := readTable(tableBytes(t, wire.Table{"k": int(n), "s": []int{int(n)}}))
		if err != nil || !reflect.DeepEqual(got, wire.Table{"k": n, "s": []any{n}}) {
			t.Errorf("%d: got %v, error %v", n, got, err)
		}
	}
	most := ^uint(0)
	if err := wire.ValidateTable(wire.Table{"n": most}); err == nil {
		t.Errorf("%d was accepted", most)
	}
}

type named string

func TestTableRefuses(t *testing.T) {
	self := wire.Table{}
	self["a"], self["b"] = self, self
	long := strings.Repeat("k", 256)
	tests := []struct {
		name  string
		table wire.Table
		path  string
		says  string
	}{
		{"a struct", wire.Table{"a": struct{ secret string }{"hunter2"}}, "a", "struct { secret string }"},
		{"a pointer", wire.Table{"a": new(int)}, "a", "*int"},
		{"a named type", wire.Table{"a": named("x")}, "a", "wire_test.named"},
		{"a complex number", wire.Table{"a": 1i}, "a", "complex128"},
		{"a duration", wire.Table{"x-message-ttl": time.Minute}, "x-message-ttl", "milliseconds"},
		{"a uint64 beyond int64", wire.Table{"n": uint64(math.MaxInt64 + 1)}, "n", "63 bits"},
		{"a uint64 in a slice", wire.Table{"n": []uint64{1, math.MaxUint64}}, "n[1]", "63 bits"},
		{"the zero time", wire.Table{"t": time.Time{}}, "t", "zero time"},
		{"deep inside", wire.Table{"a": wire.Table{"b": []any{1, 2, wire.Table{"c": self["nil"], "d": []any{[]any{func() {}}}}}}}, "a.b[2].d[0][0]", "func()"},
		{"a long key", wire.Table{"a": wire.Table{long: 1}}, `a."` + strings.Repeat("k", 64) + `"…`, "key longer than 255"},
		{"a key not fit to print", wire.Table{"a\n\x1b[31m": struct{}{}}, `"a\n\x1b[31m"`, "struct"},
		{"a table that holds itself", self, strings.Repeat("a.", 31) + "a", "32 levels"},
		{"too many fields", wire.Table{"a": make([]any, 1<<15)}, "a[16383]", "16384"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := append(make([]byte, 0, 64), "before"...)
			got, err := wire.AppendTable(dst, tt.table)
			e, ok := errs.AsType[*wire.FieldError](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			if e.Path != tt.path || !strings.Contains(e.Reason, tt.says) {
				t.Errorf("error %v, want path %q and %q", e, tt.path, tt.says)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error shows the value: %v", err)
			}
			if !bytes.Equal(got, []byte("before")) {
				t.Errorf("dst is %q", got)
			}
			if verr := wire.ValidateTable(tt.table); verr == nil || verr.Error() != err.Error() {
				t.Errorf("ValidateTable says %v, AppendTable %v", verr, err)
			}
		})
	}
}

func TestTableLimitsAgreeBothWays(t *testing.T) {
	tests := []struct {
		name  string
		table wire.Table
		ok    bool
	}{
		{"32 levels of tables", nestedTable(32), true},
		{"33 levels of tables", nestedTable(33), false},
		{"32 levels of arrays and a table", wire.Table{"a": nestedArray(31)}, true},
		{"33 levels of arrays and a table", wire.Table{"a": nestedArray(32)}, false},
		{"16384 fields", wire.Table{"a": make([]any, 16383)}, true},
		{"16385 fields", wire.Table{"a": make([]any, 16384)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := wire.AppendTable(nil, tt.table)
			if (err == nil) != tt.ok {
				t.Fatalf("encoding: error %v", err)
			}
			if err == nil {
				back, err := readTable(b)
				if err != nil || !reflect.DeepEqual(back, tt.table) {
					t.Errorf("decoding: error %v", err)
				}
			}
		})
	}
}

// nestedTable is a table of n levels.
func nestedTable(n int) wire.Table {
	if n == 1 {
		return wire.Table{}
	}
	return wire.Table{"a": nestedTable(n - 1)}
}

func nestedArray(n int) []any {
	if n == 1 {
		return []any{}
	}
	return []any{nestedArray(n - 1)}
}

func TestTableCutAnywhereIsRefused(t *testing.T) {
	b := tableBytes(t, wire.Table{
		"bool": true, "bytes": []byte{1, 2}, "decimal": wire.Decimal{Scale: 1, Value: 2}, "double": 1.5, "int": int64(1),
		"list": []any{"a", int8(1), wire.Table{"x": nil}}, "short": uint16(3), "table": wire.Table{"a": "b"}, "time": time.Unix(1, 0),
	})
	for cut := range len(b) {
		if table, err := readTable(b[:cut]); err == nil {
			t.Errorf("cut to %d of %d octets: %v", cut, len(b), table)
		}
		if cut < 4 {
			continue
		}
		// The outer length is right, and something inside is cut off. Between two fields that is no fault.
		shorter := append([]byte{0, 0, 0, byte(cut - 4)}, b[4:cut]...)
		table, err := readTable(shorter)
		if err == nil && !bytes.Equal(tableBytes(t, table), shorter) {
			t.Errorf("cut to %d octets inside: %v", cut, table)
		}
	}
}

func TestDuplicateKeysLastWins(t *testing.T) {
	got, err := readTable(unhex(t, "0000000c 0161 6201 0162 6205 0161 6202"))
	if err != nil || !reflect.DeepEqual(got, wire.Table{"a": int8(2), "b": int8(5)}) {
		t.Errorf("got %v, error %v", got, err)
	}
}

func TestTableBytesAreDeterministic(t *testing.T) {
	table := wire.Table{}
	for i := range 100 {
		table[fmt.Sprint(i)] = wire.Table{"x": i, "y": i, "z": i}
	}
	first := tableBytes(t, table)
	for range 20 {
		if !bytes.Equal(tableBytes(t, table.Clone()), first) {
			t.Fatal("equal tables have different bytes")
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	build := func() wire.Table {
		return wire.Table{
			"table": wire.Table{"a": []any{wire.Table{"b": 1}, []byte{1}}}, "map": map[string]any{"a": []any{1}},
			"strings": map[string]string{"a": "b"}, "tables": []wire.Table{{"a": 1}}, "maps": []map[string]any{{"a": 1}},
			"bytes": []byte{1}, "s": []string{"a"}, "i": []int{1}, "i64": []int64{1}, "f": []float64{1}, "b": []bool{true},
			"any": []any{[]any{1}}, "nil": nil, "n": 1,
		}
	}
	in := build()
	c := in.Clone()
	c["table"].(wire.Table)["a"].([]any)[0].(wire.Table)["b"] = 2
	c["table"].(wire.Table)["a"].([]any)[1].([]byte)[0] = 2
	c["map"].(map[string]any)["a"].([]any)[0] = 2
	c["strings"].(map[string]string)["a"] = "c"
	c["tables"].([]wire.Table)[0]["a"] = 2
	c["maps"].([]map[string]any)[0]["a"] = 2
	c["bytes"].([]byte)[0] = 2
	c["s"].([]string)[0] = "b"
	c["i"].([]int)[0] = 2
	c["i64"].([]int64)[0] = 2
	c["f"].([]float64)[0] = 2
	c["b"].([]bool)[0] = false
	c["any"].([]any)[0].([]any)[0] = 2
	c["new"] = 1
	if !reflect.DeepEqual(in, build()) {
		t.Errorf("the original has changed: %v", in)
	}
	if wire.Table(nil).Clone() != nil {
		t.Error("nil has a clone")
	}
	var nilSlices = wire.Table{"a": []any(nil), "b": []wire.Table(nil), "c": map[string]string(nil)}
	if c := nilSlices.Clone(); !reflect.DeepEqual(c, nilSlices) {
		t.Errorf("clone of nil values: %#v", c)
	}
}

func TestEncodingLeavesTheCallersTable(t *testing.T) {
	in := wire.Table{"b": []any{3, 1, 2}, "a": map[string]any{"z": []byte{1}}}
	want := in.Clone()
	tableBytes(t, in)
	if !reflect.DeepEqual(in, want) {
		t.Errorf("changed to %v", in)
	}
}
