package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

// forwarded decodes and encodes what a message has between its flags and the frame's end.
func forwarded(t *testing.T, raw []byte) []byte {
	t.Helper()
	p, err := DecodeProperties(raw)
	if err != nil {
		t.Fatalf("%x: %v", raw, err)
	}
	if err := p.Validate(); err != nil {
		t.Errorf("%x: %v", raw, err)
	}
	frame, err := AppendHeader(nil, 1, ClassBasic, 0, &p)
	if err != nil {
		t.Fatalf("%x: %v", raw, err)
	}
	return frame[frameHeaderSize+headerFixedSize : len(frame)-1]
}

func flagged(p Property, value []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(p)), value...)
}

// seconds are times that real clients write: milliseconds, none, before 1970, the largest.
var seconds = []int64{
	0, 1, -1, -86400, 1_700_000_000, 1_700_000_000_000, 1_700_000_000_000_000, 253402300800,
	time.Time{}.Unix(), time.Time{}.Unix() - 1, time.Time{}.Unix() + 1, math.MinInt64, math.MaxInt64,
}

// Each property alone, with values that look like none.
func TestReceivedPropertiesAreWrittenAsTheyWere(t *testing.T) {
	values := map[string][][]byte{
		"shortstr": {{0}, {1, 'x'}, {1, 0}, slices.Concat([]byte{255}, bytes.Repeat([]byte{0xff}, 255))},
		"octet":    {{0}, {1}, {2}, {255}},
		"table":    {{0, 0, 0, 0}, {0, 0, 0, 4, 1, 'a', 't', 1}},
	}
	for _, s := range seconds {
		values["timestamp"] = append(values["timestamp"], binary.BigEndian.AppendUint64(nil, uint64(s)))
	}
	for _, c := range propertyCases {
		for _, v := range values[c.kind] {
			raw := flagged(c.property, v)
			if got := forwarded(t, raw); !bytes.Equal(got, raw) {
				t.Errorf("%s: received %x, written %x", c.name, raw, got)
			}
		}
	}
}

// A property that is taken away, or set, is what counts.
func TestAReceivedPropertyCanBeChanged(t *testing.T) {
	p, err := DecodeProperties(flagged(PropertyPriority|PropertyMessageID, []byte{0, 1, 'm'}))
	if err != nil {
		t.Fatal(err)
	}
	p.Priority, p.MessageID = 3, ""
	frame, err := AppendHeader(nil, 1, ClassBasic, 0, &p)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := frame[frameHeaderSize+headerFixedSize:len(frame)-1], flagged(PropertyPriority, []byte{3}); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// randomValue is a value as a peer may send it, its type in front: every type, widths at their ends. U and L have
// other letters when they are written, and a boolean is 0 or 1.
func randomValue(r *rand.Rand, depth int) []byte {
	pick := func(n int) []byte { // octets at random, or all alike
		b := bytes.Repeat([]byte{[]byte{0, 1, 0x7f, 0x80, 0xff}[r.IntN(5)]}, n)
		if r.IntN(2) == 0 {
			for i := range b {
				b[i] = byte(r.Uint32())
			}
		}
		return b
	}
	long := func(tag byte, b []byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{tag}, uint32(len(b))), b...)
	}
	const types = "tbBsuIilfdDTVSxFA"
	tag := types[r.IntN(len(types))]
	if depth == 0 && (tag == 'F' || tag == 'A') {
		tag = 'V'
	}
	switch tag {
	case 't':
		return []byte{tag, byte(r.IntN(2))}
	case 'S', 'x':
		return long(tag, pick(r.IntN(300)))
	case 'T':
		if r.IntN(2) == 0 {
			return binary.BigEndian.AppendUint64([]byte{tag}, uint64(seconds[r.IntN(len(seconds))]))
		}
	case 'F':
		return append([]byte{tag}, randomTable(r, depth-1)...)
	case 'A':
		var b []byte
		for range r.IntN(4) {
			b = append(b, randomValue(r, depth-1)...)
		}
		return long(tag, b)
	}
	return append([]byte{tag}, pick(valueSize(tag))...)
}

// randomTable has its length in front, and ascending keys.
func randomTable(r *rand.Rand, depth int) []byte {
	var b []byte
	for i := range r.IntN(6) {
		key := strconv.Itoa(i) + string(rune(r.IntN(0x500)))
		b = append(append(append(b, byte(len(key))), key...), randomValue(r, depth)...)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func TestReceivedTablesAreWrittenAsTheyWere(t *testing.T) {
	for seed := range uint64(3000) {
		raw := flagged(PropertyHeaders, randomTable(rand.New(rand.NewPCG(seed, 11)), 3))
		if got := forwarded(t, raw); !bytes.Equal(got, raw) {
			t.Fatalf("seed %d: received %x, written %x", seed, raw, got)
		}
	}
}
