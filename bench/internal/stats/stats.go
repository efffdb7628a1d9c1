// Package stats makes one number of several rounds.
package stats

import "slices"

// Median returns the middle value, the mean of the two middle ones for an even number, and 0 for none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Ratio returns the median of a[i]/b[i]: what was measured side by side is compared before the rounds are
// put together, so a round in which the whole machine was slow counts like any other. Pairs without a
// divisor are left out.
func Ratio(a, b []float64) float64 {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return Median(ratios)
}
