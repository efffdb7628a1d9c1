//go:build !race

package chaos

const raceFlag = "" // as this test was built
