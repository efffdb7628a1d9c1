package offsets

import "testing"

func TestOffsets(t *testing.T) {
	o := New()
	round, _, known := o.Restart()
	if known {
		t.Error("known before anything was delivered")
	}
	want := func(next uint64) {
		t.Helper()
		if got, known := o.Position(); !known || got != next {
			t.Errorf("at %d, %t; want %d", got, known, next)
		}
	}
	for _, offset := range []uint64{10, 11, 15} { // streams have gaps
		o.Delivered(round, offset)
	}
	want(10)
	o.Settled(11)
	want(10)
	o.Settled(10)
	want(15)
	if _, next, _ := o.Restart(); next != 15 {
		t.Errorf("restarts at %d", next)
	}
	o.Delivered(round, 16) // a late note of the subscription before
	o.Settled(11)
	want(15)
	o.Delivered(round+1, 15)
	o.Settled(15)
	want(16)
}

// Of a stream that was replaced everything is new, unless nothing of the last one was seen: then it is for
// the option to say where to begin, as it was for that one.
func TestOffsetsOfAReplacedStream(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(o *Offsets, round int)
		known  bool
	}{
		"nothing seen":      {func(*Offsets, int) {}, false},
		"something pending": {func(o *Offsets, round int) { o.Delivered(round, 10) }, true},
		"something settled": {func(o *Offsets, round int) { o.Delivered(round, 10); o.Settled(10) }, true},
		"both":              {func(o *Offsets, round int) { o.Delivered(round, 10); o.Delivered(round, 11); o.Settled(10) }, true},
	} {
		o := New()
		round, _, _ := o.Restart()
		tt.before(o, round)
		o.Replaced()
		o.Delivered(round, 12) // late notes of the stream before
		o.Settled(11)
		if _, next, known := o.Restart(); known != tt.known || next != 0 {
			t.Errorf("%s: begins at %d, known %t; want 0, %t", name, next, known, tt.known)
		}
	}
}
