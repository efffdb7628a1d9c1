package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// largest is the payload of the largest frame that a client with default limits accepts.
const largest = 131072 - wire.FrameOverhead

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// leastAllocated is the least of three runs of f, in bytes and in time: what the
// rest of the process and of the machine does meanwhile is counted too, but not each time.
func leastAllocated(f func()) (bytes uint64, took time.Duration) {
	bytes, took = math.MaxUint64, math.MaxInt64
	for range 3 {
		begin := time.Now()
		bytes = min(bytes, allocated(f))
		took = min(took, time.Since(begin))
	}
	return bytes, took
}

// be32 is n as four octets.
func be32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// table puts the length in front of fields.
func table(fields ...[]byte) []byte {
	all := slices.Concat(fields...)
	return append(be32(len(all)), all...)
}

// bomb nests tables, or arrays, in a table until it has size octets.
func bomb(size int, tag byte) []byte {
	head := []byte{0, 'F'} // a key and a type
	if tag == 'A' {
		head = head[1:]
		head[0] = 'A'
	}
	levels := (size - 6) / (len(head) + 4)
	var b []byte
	rest := levels * (len(head) + 4)
	for range levels {
		rest -= len(head) + 4
		b = append(append(b, head...), be32(rest)...)
	}
	if tag == 'A' {
		return table([]byte{0}, b)
	}
	return table(b)
}

// flood repeats a field in a table until it has size octets.
func flood(size int, field ...byte) []byte {
	return table(bytes.Repeat(field, (size-4)/len(field)))
}

// hostileTables are tables from reliable sources of trouble, with the reply code they deserve; 0: none.
func hostileTables() map[string]struct {
	table []byte
	code  uint16
} {
	type row = struct {
		table []byte
		code  uint16
	}
	return map[string]row{
		"table of 4 GiB":                     {be32(-1), 502},
		"table one octet too long":           {append(be32(3), 0, 'V'), 502},
		"table without its length":           {[]byte{0, 0, 0}, 502},
		"string of 4 GiB":                    {table([]byte{1, 'a', 'S'}, be32(-1)), 502},
		"string of 2 GiB":                    {table([]byte{1, 'a', 'S'}, be32(1<<31-1)), 502},
		"string one octet too long":          {table([]byte{1, 'a', 'S'}, be32(2), []byte{'x'}), 502},
		"bytes of negative length":           {table([]byte{1, 'a', 'x'}, be32(-2)), 502},
		"array of 4 GiB":                     {table([]byte{1, 'a', 'A'}, be32(-1)), 502},
		"array that ends outside its table":  {append(table([]byte{1, 'a', 'A'}, be32(2)), 'V', 'V'), 502},
		"table that ends outside its table":  {append(table([]byte{1, 'a', 'F'}, be32(2)), 0, 'V'), 502},
		"value that ends outside its table":  {append(table([]byte{1, 'a', 'l', 0, 0}), 0, 0, 0, 0, 0, 0), 502},
		"key that ends outside its table":    {append(table([]byte{9, 'a'}), make([]byte, 16)...), 502},
		"key without a value":                {table([]byte{1, 'a'}), 502},
		"unknown type":                       {table([]byte{1, 'a', 'z', 0, 0, 0, 0}), 502},
		"type 0":                             {table([]byte{1, 'a', 0}), 502},
		"nested tables to the end":           {bomb(largest/2, 'F'), 502},
		"nested arrays to the end":           {bomb(largest/2, 'A'), 502},
		"fields without key or value":        {flood(largest/2, 0, 'V'), 502},
		"as many fields as allowed":          {flood(4+2*16384, 0, 'V'), 0},
		"one field too many":                 {flood(4+2*16385, 0, 'V'), 502},
		"empty tables":                       {flood(4+6*16384, 0, 'F', 0, 0, 0, 0), 0},
		"array of nothing":                   {table([]byte{0, 'A'}, table(bytes.Repeat([]byte{'V'}, 16383))), 0},
		"array of too much nothing":          {table([]byte{0, 'A'}, table(bytes.Repeat([]byte{'V'}, 16384))), 502},
		"distinct keys":                      {distinctKeys(16384), 0},
		"invalid UTF-8 in keys and strings":  {table([]byte{2, 0xff, 0xfe, 'S'}, be32(2), []byte{0xc3, 0x28}), 0},
		"terminal escapes in keys":           {table([]byte{4, 0x1b, '[', '2', 'J', 'V'}), 0},
		"a key that occurs twice":            {table([]byte{1, 'a', 'V', 1, 'a', 't', 1}), 0},
		"the largest time":                   {table([]byte{1, 'a', 'T'}, be32(-1), be32(-1)), 0},
		"one string as long as the frame":    {table([]byte{1, 'a', 'S'}, table(make([]byte, largest/2))), 0},
		"one byte array as long as the rest": {table([]byte{1, 'a', 'x'}, table(make([]byte, largest/2))), 0},
	}
}

func distinctKeys(n int) []byte {
	var b []byte
	for i := range n {
		b = append(b, 3, byte(i>>16), byte(i>>8), byte(i), 'V')
	}
	return table(b)
}

// entrances are the ways by which a table comes in.
var entrances = map[string]struct {
	payload func(table []byte) []byte
	decode  func(d *wire.Decoder, payload []byte) error
}{
	"method": {
		func(b []byte) []byte { return slices.Concat([]byte{0, 50, 0, 10, 0, 0, 0, 0}, b) },
		func(d *wire.Decoder, payload []byte) error {
			m, err := d.Method(payload)
			if err != nil && m != nil {
				return errors.New("a method came with the error")
			}
			return err
		},
	},
	"header": {
		headerWith,
		func(d *wire.Decoder, payload []byte) error {
			h, err := d.Header(payload)
			if err != nil {
				return err
			}
			if _, err := wire.DecodeProperties(h.Properties); err != nil {
				return errors.New("accepted and then not decoded: " + err.Error())
			}
			return nil
		},
	},
}

// headerWith is the payload of a content header with the headers in encoded form and nothing else.
func headerWith(table []byte) []byte {
	return slices.Concat([]byte{0, 60}, make([]byte, 10), []byte{0x20, 0}, table)
}

// TestHostileTables holds each table to a budget of bytes: a fixed amount when it is refused, a multiple of
// fields and octets when it is not.
func TestHostileTables(t *testing.T) {
	for name, tt := range hostileTables() {
		for entrance, enter := range entrances {
			t.Run(name+"/"+entrance, func(t *testing.T) {
				payload := enter.payload(tt.table)
				var err error
				used, took := leastAllocated(func() { err = enter.decode(&wire.Decoder{}, payload) })
				if took > 500*time.Millisecond {
					t.Errorf("took %s for %d bytes, three times in a row", took, len(payload))
				}
				budget := uint64(4096)
				if tt.code == 0 {
					if err != nil {
						t.Fatalf("refused: %v", err)
					}
					budget += 200*16384 + 2*uint64(len(payload))
				} else {
					wantFault(t, err, tt.code)
				}
				if used > budget {
					t.Errorf("%d bytes allocated for a table of %d, budget %d", used, len(tt.table), budget)
				}
			})
		}
	}
}

// TestHostileTablesWithoutLimits decodes what no decoder let through: it must be safe all the same.
func TestHostileTablesWithoutLimits(t *testing.T) {
	for name, tt := range hostileTables() {
		t.Run(name, func(t *testing.T) {
			raw := append([]byte{0x20, 0}, tt.table...)
			p, err := wire.DecodeProperties(raw)
			if err != nil {
				wantFault(t, err, 502)
			}
			for _, key := range []string{"", "a", "\xff\xfe"} {
				v, ok := wire.LookupHeader(raw, key)
				want, has := p.Headers[key]
				if ok != has || !reflect.DeepEqual(v, want) {
					t.Errorf("LookupHeader(%q) = %v, %v; DecodeProperties has %v, %v", key, v, ok, want, has)
				}
			}
		})
	}
}

// TestHostileTablesCostTheSamePerOctet doubles the input and expects twice the memory, not four times.
func TestHostileTablesCostTheSamePerOctet(t *testing.T) {
	build := map[string]func(size int) []byte{
		"nested tables": func(size int) []byte { return bomb(size, 'F') },
		"nested arrays": func(size int) []byte { return bomb(size, 'A') },
		"empty fields":  func(size int) []byte { return flood(size, 0, 'V') },
		"empty tables":  func(size int) []byte { return flood(size, 0, 'F', 0, 0, 0, 0) },
	}
	for name, build := range build {
		t.Run(name, func(t *testing.T) {
			cost := func(size int) uint64 {
				raw := append([]byte{0x20, 0}, build(size)...)
				used, _ := leastAllocated(func() {
					if _, err := wire.DecodeProperties(raw); err != nil {
						t.Error(err)
					}
				})
				return used
			}
			once, twice := cost(1<<16), cost(1<<17)
			if twice > 3*once+8192 {
				t.Errorf("64 KiB take %d bytes, 128 KiB take %d", once, twice)
			}
		})
	}
}

func TestRefusingHeadersDoesNotAllocate(t *testing.T) {
	for name, tt := range hostileTables() {
		payload := headerWith(tt.table)
		var d wire.Decoder
		allocs := testing.AllocsPerRun(10, func() { _, _ = d.Header(payload) })
		most := 0.0
		if tt.code != 0 {
			most = 6 // the error and its text
		}
		if allocs > most {
			t.Errorf("%s: %v allocations, want at most %v", name, allocs, most)
		}
	}
}

// TestHostileLengths has a string length of 4 GiB in each place of a method.
func TestHostileLengths(t *testing.T) {
	for name, payload := range map[string][]byte{
		"mechanisms of connection.start":   slices.Concat([]byte{0, 10, 0, 10, 0, 9}, be32(0), be32(-1)),
		"locales of connection.start":      slices.Concat([]byte{0, 10, 0, 10, 0, 9}, be32(0), be32(0), be32(-1)),
		"challenge of connection.secure":   slices.Concat([]byte{0, 10, 0, 20}, be32(1<<31-1)),
		"response of connection.start-ok":  slices.Concat([]byte{0, 10, 0, 11}, be32(0), []byte{0}, be32(-1)),
		"reserved of channel.open-ok":      slices.Concat([]byte{0, 20, 0, 11}, be32(-1)),
		"properties of connection.start":   slices.Concat([]byte{0, 10, 0, 10, 0, 9}, be32(-1)),
		"reply text of connection.close":   {0, 10, 0, 50, 1, 64, 255, 'x'},
		"consumer tag of basic.deliver":    {0, 60, 0, 60, 255, 'x'},
		"delivery tag of basic.ack":        {0, 60, 0, 80, 0, 0, 0},
		"routing key of basic.get-ok":      {0, 60, 0, 71, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 9, 'k', 0, 0, 0, 0},
		"arguments of basic.consume":       slices.Concat([]byte{0, 60, 0, 20, 0, 0, 0, 0, 0}, be32(1<<30)),
		"bits of queue.declare":            {0, 50, 0, 10, 0, 0, 1, 'q'},
		"message count of queue.delete-ok": {0, 50, 0, 41, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			used, _ := leastAllocated(func() { _, err = new(wire.Decoder).Method(payload) })
			wantFault(t, err, 502)
			if used > 4096 {
				t.Errorf("%d bytes allocated", used)
			}
		})
	}
}

func TestDecoderLimitsAreSettable(t *testing.T) {
	deep := table([]byte{1, 'a', 'F'}, table([]byte{1, 'a', 'F'}, table()))
	wide := flood(4+3*2, 0, 't', 1)
	tests := []struct {
		name  string
		d     wire.Decoder
		table []byte
		ok    bool
	}{
		{"three levels of three", wire.Decoder{MaxDepth: 3}, deep, true},
		{"three levels of two", wire.Decoder{MaxDepth: 2}, deep, false},
		{"two fields of two", wire.Decoder{MaxFields: 2}, wide, true},
		{"two fields of one", wire.Decoder{MaxFields: 1}, wide, false},
		{"more than the default depth", wire.Decoder{MaxDepth: 100}, bomb(6*90, 'F'), true},
		{"more than the default fields", wire.Decoder{MaxFields: 1 << 20}, flood(1<<16, 0, 'V'), true},
	}
	for _, tt := range tests {
		for entrance, enter := range entrances {
			t.Run(tt.name+"/"+entrance, func(t *testing.T) {
				if err := enter.decode(&tt.d, enter.payload(tt.table)); (err == nil) != tt.ok {
					t.Errorf("error %v", err)
				}
			})
		}
	}
}

// No setting, and no function that has no setting, lets bytes decide how deep
// the decoder's stack becomes.
func TestDepthIsLimitedWhateverIsSet(t *testing.T) {
	properties := func(levels int) []byte { return append([]byte{0x20, 0}, bomb(6*levels, 'F')...) }
	header := func(props []byte) []byte { return append([]byte{0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, props...) }
	d := wire.Decoder{MaxDepth: math.MaxInt, MaxFields: math.MaxInt}
	for levels, ok := range map[int]bool{wire.DepthLimit - 1: true, wire.DepthLimit + 1: false, 1 << 20: false} {
		raw := properties(levels)
		if _, err := d.Header(header(raw)); (err == nil) != ok {
			t.Errorf("%d levels: Header says %v", levels, err)
		}
		if _, err := wire.DecodeProperties(raw); (err == nil) != ok {
			t.Errorf("%d levels: DecodeProperties says %v", levels, err)
		}
		if _, found := wire.LookupHeader(raw, ""); found != ok {
			t.Errorf("%d levels: header found: %v", levels, found)
		}
	}
}

func TestFieldsAreCountedPerPayload(t *testing.T) {
	d := wire.Decoder{MaxFields: 3}
	payload := slices.Concat([]byte{0, 10, 0, 11}, flood(4+2*3, 0, 'V'), []byte{0}, be32(0), []byte{0})
	for range 3 {
		if _, err := d.Method(payload); err != nil {
			t.Fatal(err)
		}
	}
}

// TestErrorsHoldNothingOfThePeer looks for hostile text in errors, which are logged.
func TestErrorsHoldNothingOfThePeer(t *testing.T) {
	const evil = "\x1b[2J\nfake log line"
	key := append([]byte{byte(len(evil))}, evil...)
	var d wire.Decoder
	for _, payload := range [][]byte{
		slices.Concat([]byte{0, 50, 0, 10, 0, 0}, key, []byte{0}, table(key, []byte{'z'})),
		slices.Concat([]byte{0, 50, 0, 10, 0, 0}, key),
		slices.Concat([]byte{0, 60, 0, 60}, key, []byte{1}),
	} {
		_, err := d.Method(payload)
		wantFault(t, err, 502)
		if strings.ContainsAny(err.Error(), "\x1b\n") || strings.Contains(err.Error(), "fake") {
			t.Errorf("%q", err)
		}
	}
}
