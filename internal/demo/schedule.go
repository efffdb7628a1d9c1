package demo

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// fault is one fault of a schedule: it strikes when that many messages are confirmed.
type fault struct {
	kind Kind
	at   int
}

// schedule spreads the faults over the middle nine tenths of n messages, the
// same way for the same seed.
func schedule(f Faults, n int, seed uint64) []fault {
	r := rand.New(rand.NewPCG(seed, 0))
	var all []fault
	for _, k := range kinds {
		for range f[k] {
			all = append(all, fault{kind: k, at: n/20 + r.IntN(max(1, n*9/10))})
		}
	}
	slices.SortStableFunc(all, func(a, b fault) int { return cmp.Compare(a.at, b.at) })
	return all
}
