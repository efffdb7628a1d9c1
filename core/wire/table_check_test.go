package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

// TestCheckVisitsEachValueOnce counts visits: the work of a check is linear however the input is nested.
func TestCheckVisitsEachValueOnce(t *testing.T) {
	nested := func(tag byte, levels int) []byte {
		b := []byte{0, 0, 0, 0}
		for range levels {
			head := []byte{tag}
			if tag == 'F' {
				head = []byte{0, tag}
			}
			b = append(head, b...)
			b = append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
		}
		if tag == 'A' {
			b = append([]byte{0, tag}, b...)
			b = append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
		}
		return b
	}
	flat := bytes.Repeat([]byte{0, 'V'}, 1000)
	flat = append(binary.BigEndian.AppendUint32(nil, uint32(len(flat))), flat...)
	tests := map[string]struct {
		table  []byte
		values int
	}{
		"flat":          {flat, 1000},
		"nested tables": {nested('F', 1000), 1000},
		"nested arrays": {nested('A', 1000), 1001},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := noLimits()
			rest, reason := l.checkTable(tt.table)
			if reason != "" || len(rest) != 0 {
				t.Fatalf("%q, %d octets left", reason, len(rest))
			}
			if visits := math.MaxInt - l.fields; visits != tt.values {
				t.Errorf("%d visits for %d values", visits, tt.values)
			}
		})
	}
}

func TestCheckStopsAtTheLimit(t *testing.T) {
	b := bytes.Repeat([]byte{0, 'V'}, 1000)
	b = append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	l := limits{depth: 1, fields: 10}
	if _, reason := l.checkTable(b); reason == "" || l.fields != -1 {
		t.Errorf("%q with %d fields left", reason, l.fields)
	}
}

func TestCheckKnowsWhatIsDecoded(t *testing.T) {
	for tag := range 256 {
		for _, zeros := range []int{0, 1, 2, 4, 5, 8} {
			b := append([]byte{byte(tag)}, make([]byte, zeros)...)
			l := limits{depth: 2, fields: 2}
			if rest, reason := l.value(b, 2); reason == "" {
				_, left := decodeValue(b)
				if len(left) != len(rest) {
					t.Errorf("type 0x%02x: checked to %d octets before the end, decoded to %d", tag, len(rest), len(left))
				}
			}
		}
	}
}
