package wire

import (
	"fmt"
	"hash/maphash"
	"testing"
)

func TestInternerReturnsEqualStrings(t *testing.T) {
	var in interner
	for range 3 {
		for i := range 3 * internSlots {
			want := fmt.Sprintf("key-%d", i)
			if got := in.get([]byte(want)); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
	if in.get(nil) != "" || in.get([]byte{}) != "" {
		t.Error("empty octets are no empty string")
	}
	if got := in.get([]byte{0}); got != "\x00" {
		t.Errorf("got %q", got)
	}
}

// TestInternerKeepsTwoNamesOfOneSlot has two names that hash to the same slot and come by turns.
func TestInternerKeepsTwoNamesOfOneSlot(t *testing.T) {
	var in interner
	in.get([]byte("first use"))
	bySlot := map[uint64][]byte{}
	for i := 0; ; i++ {
		a := fmt.Appendf(nil, "name-%d", i)
		slot := maphash.Bytes(in.seed, a) % internSlots
		b, taken := bySlot[slot]
		if !taken {
			bySlot[slot] = a
			continue
		}
		in.get(a)
		in.get(b)
		if allocs := testing.AllocsPerRun(10, func() { in.get(a); in.get(b) }); allocs != 0 {
			t.Errorf("%v allocations", allocs)
		}
		return
	}
}

// TestInternerIsBounded gives it names that never come again: it must hold no more than its slots.
func TestInternerIsBounded(t *testing.T) {
	var in interner
	name := make([]byte, 255)
	for i := range 20 * internSlots {
		copy(name, fmt.Sprintf("%08d", i))
		in.get(name)
	}
	held := 0
	for _, s := range in.slots {
		held += len(s)
	}
	if held > 255*internSlots {
		t.Errorf("%d octets held", held)
	}
	// A name that comes again is remembered as if nothing had happened.
	again := []byte("orders")
	in.get(again)
	if allocs := testing.AllocsPerRun(10, func() { in.get(again) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
