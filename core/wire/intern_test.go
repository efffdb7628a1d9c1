package wire

import (
	"fmt"
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

// TestInternerKeepsWorkingSets has as many names as a busy connection uses again and again.
func TestInternerKeepsWorkingSets(t *testing.T) {
	var in interner
	names := make([][]byte, internSlots/16)
	for i := range names {
		names[i] = fmt.Appendf(nil, "name-%d", i)
	}
	pass := func() {
		for _, n := range names {
			in.get(n)
		}
	}
	pass()
	// A few names may share their two places with others; which ones depends on the seed.
	if allocs := testing.AllocsPerRun(10, pass); allocs > float64(len(names))/8 {
		t.Errorf("%v of %d names are not remembered", allocs, len(names))
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
