package state

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestReadyKeepsPlaces compares with a list that is sorted again each time: by priority, then by position.
func TestReadyKeepsPlaces(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		priorities := 1 + random.IntN(3)
		r := newReady(priorities, false)
		var model, taken []*Entry
		for position := range uint64(200) {
			switch op := random.IntN(4); {
			case op < 2:
				e := &Entry{Message: &Message{Priority: uint8(random.IntN(4)), Body: make([]byte, random.IntN(9))}, position: position}
				r.push(e)
				model = append(model, e)
			case op == 2:
				e := r.pop()
				if want := next(model, priorities); e != want {
					t.Fatalf("seed %d: popped %+v, want %+v", seed, e, want)
				}
				if e != nil {
					model = slices.DeleteFunc(model, func(o *Entry) bool { return o == e })
					taken = append(taken, e)
				}
			case len(taken) > 0:
				i := random.IntN(len(taken))
				r.putBack(taken[i])
				model = append(model, taken[i])
				taken = slices.Delete(taken, i, i+1)
			}
			bytes := 0
			for _, e := range model {
				bytes += len(e.Message.Body)
			}
			if r.len != len(model) || r.bytes != int64(bytes) {
				t.Fatalf("seed %d: %d messages of %d octets, want %d of %d", seed, r.len, r.bytes, len(model), bytes)
			}
		}
	}
}

func next(model []*Entry, priorities int) *Entry {
	if len(model) == 0 {
		return nil
	}
	lane := func(e *Entry) int { return min(int(e.Message.Priority), priorities-1) }
	return slices.MinFunc(model, func(a, b *Entry) int {
		if d := lane(b) - lane(a); d != 0 {
			return d
		}
		return int(a.position) - int(b.position)
	})
}

func TestReturnsFirst(t *testing.T) {
	r := newReady(quorumPriorities, true)
	var es []*Entry
	for i := range 4 {
		e := &Entry{Message: &Message{}, position: uint64(i)}
		es = append(es, e)
		r.push(e)
	}
	for range 3 {
		r.pop()
	}
	r.putBack(es[1])
	r.putBack(es[0])
	for i, want := range []*Entry{es[1], es[0], es[3], nil} {
		if got := r.pop(); got != want {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
}

func TestFifoGivesMemoryBack(t *testing.T) {
	var f fifo
	for i := range 100000 {
		f.push(&Entry{position: uint64(i)})
		if i >= 10 {
			if e := f.pop(); e.position != uint64(i-10) {
				t.Fatalf("popped %d, want %d", e.position, i-10)
			}
		}
	}
	if cap(f.items) > 1024 {
		t.Errorf("room for %d messages, for 10", cap(f.items))
	}
}
