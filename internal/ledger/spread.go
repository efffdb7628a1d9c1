package ledger

import (
	"math"
	"slices"
	"time"
)

// minWaits is the least that tells a spread.
const minWaits = 30

// spread returns how far the times are from being spread evenly between 0 and most:
// the distance of Kolmogorov and Smirnov, and what even ones exceed once in ten
// thousand cases.
func spread(times []time.Duration, most time.Duration) (distance, limit float64) {
	sorted := slices.Sorted(slices.Values(times))
	n := float64(len(sorted))
	for i, t := range sorted {
		even := min(float64(t)/float64(most), 1)
		distance = max(distance, even-float64(i)/n, float64(i+1)/n-even)
	}
	return distance, math.Sqrt(-math.Log(0.0001/2)/2) / math.Sqrt(n)
}
