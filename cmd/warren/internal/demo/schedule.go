package demo

import "math/rand/v2"

// fault is one fault of a schedule. It strikes when at messages have their
// outcome. No more than latest are published before it has struck, so how fast
// they pass does not move it.
type fault struct {
	kind       Kind
	at, latest int
}

// schedule spreads the faults evenly over n messages, each over an equal part of
// them. The order of the kinds and the place within a part come from the seed.
func schedule(f Faults, n int, seed uint64) []fault {
	r := rand.New(rand.NewPCG(seed, 0))
	var all []fault
	for _, k := range kinds {
		for range f[k] {
			all = append(all, fault{kind: k})
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i := range all {
		part := n / len(all)
		all[i].at = n*i/len(all) + part/4 + r.IntN(max(1, part/2))
		all[i].latest = all[i].at + part/4
	}
	return all
}
