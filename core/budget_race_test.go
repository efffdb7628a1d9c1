//go:build race

package core

// slower is how much longer things take under the race detector.
const slower = 10
