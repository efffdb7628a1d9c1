//go:build !race

// The race detector's runtime does not hold the goroutines of a thousand clients and their broker, and now and
// then ends the process: make test runs this test without it.

package warren_test

import "testing"

func TestAThousandClientsComeBack(t *testing.T) { comeBackTogether(t, 1000) }
