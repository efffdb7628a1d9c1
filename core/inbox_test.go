package core

import (
	"errors"
	"math/rand/v2"
	"testing"
)

// The bell rings while there is something to receive: whoever answers it and takes one delivery leaves it
// ringing for the next receiver, however pushes, receivers that do not wait and the end come in between.
func TestWhateverIsHeldTheBellRings(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := newInbox(r.IntN(4)*3, 0)
		end := errors.New("end")
		held, ended := 0, false
		for range 40 {
			switch op := r.IntN(10); {
			case op < 4:
				batch := make([]*Delivery, 1+r.IntN(3))
				for i := range batch {
					batch[i] = new(Delivery)
				}
				held += len(batch) - len(b.push(batch))
			case op == 4 && held > 4:
				if b.force(new(Delivery)) {
					held++
				}
			case op == 5 && r.IntN(4) == 0:
				b.close(end, false)
				ended = true
			default:
				if r.IntN(2) == 0 { // one that was woken
					select {
					case <-b.bell:
					default:
					}
				}
				d, err := b.tryReceive()
				switch {
				case (d != nil) != (held > 0):
					t.Fatalf("seed %d: %d held, received %v", seed, held, d)
				case d != nil:
					held--
				case ended != (err != nil):
					t.Fatalf("seed %d: nothing held, ended %v, error %v", seed, ended, err)
				}
			}
			if (held > 0 || ended) && len(b.bell) == 0 {
				t.Fatalf("seed %d: %d held, ended %v, and nobody is woken", seed, held, ended)
			}
		}
	}
}

// A bound counts what waits and what was handed out together, until that is gone.
func TestInboxBounds(t *testing.T) {
	fill := func(b *inbox) (n int) {
		for len(b.push([]*Delivery{new(Delivery)})) == 0 {
			n++
		}
		return n
	}
	for name, b := range map[string]*inbox{"count": newInbox(8, 0), "bytes": newInbox(0, 8*deliveryOverhead)} {
		if n := fill(b); n != 8 {
			t.Errorf("%s: %d taken", name, n)
		}
		for i := range 8 {
			if n := fill(b); n != 0 {
				t.Errorf("%s: %d more taken with %d of those that are handed out left", name, n, 8-i)
			}
			if d, err := b.tryReceive(); d == nil || err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if d, err := b.tryReceive(); d != nil || err != nil {
			t.Fatalf("%s: %v %v", name, d, err)
		}
		if n := fill(b); n != 8 {
			t.Errorf("%s: %d taken when empty again", name, n)
		}
		n := 0
		for b.force(new(Delivery)) {
			n++
		}
		if n != 3*8 {
			t.Errorf("%s: %d beyond the bound, want as much again three times", name, n)
		}
	}
}
