//go:build race

package chaos

const raceFlag = "-race " // as this test was built
