package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Environment of a run. What is set is part of the command that repeats it.
const (
	seedVariable     = "WARREN_SEED"     // a number; default: the time
	longVariable     = "WARREN_CHAOS"    // "all": the long scenarios too
	versionsVariable = "WARREN_VERSIONS" // of RabbitMQ, for the long scenarios
	soakVariable     = "WARREN_SOAK"     // how long random scenarios run
)

// long says whether the long scenarios are wanted too.
func long() bool { return os.Getenv(longVariable) == "all" }

// firstSeed returns the seed that the environment asks for, or a new one.
func firstSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv(seedVariable)
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", seedVariable, err)
	}
	return seed
}

// seeded returns the chance of that seed, and has the test say how to repeat it if it fails.
func seeded(t *testing.T, seed uint64) *rand.Rand {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat it with: %s", repeating(t.Name(), seed))
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// repeating returns the command that repeats a test.
func repeating(test string, seed uint64) string {
	var command, pattern strings.Builder
	fmt.Fprintf(&command, "cd chaos_test && %s=%d ", seedVariable, seed)
	name := test
	if os.Getenv(soakVariable) != "" { // each of its scenarios has its own seed, with which it is the first
		name, _, _ = strings.Cut(test, "/")
		fmt.Fprintf(&command, "%s=1s ", soakVariable)
	}
	for _, variable := range []string{longVariable, versionsVariable} {
		if value := os.Getenv(variable); value != "" {
			fmt.Fprintf(&command, "%s=%q ", variable, value)
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		fmt.Fprintf(&pattern, "/^%s$", regexp.QuoteMeta(part))
	}
	fmt.Fprintf(&command, "go test -count=1 -timeout=1h -run '%s' .", pattern.String()[1:])
	return command.String()
}

// shuffled returns faults in an order that the seed repeats.
func shuffled(t *testing.T, faults []fault) []fault {
	t.Helper()
	mixed := append([]fault(nil), faults...)
	seeded(t, firstSeed(t)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	return mixed
}

func TestAFailedRunSaysHowToRepeatIt(t *testing.T) {
	for _, c := range []struct{ test, soak, versions, want string }{
		{"TestA", "", "", `WARREN_SEED=7 go test -count=1 -timeout=1h -run '^TestA$' .`},
		{"TestA/4.3/some_name", "", "4.3 4.0", `WARREN_SEED=7 WARREN_VERSIONS="4.3 4.0" go test -count=1 -timeout=1h -run '^TestA$/^4\.3$/^some_name$' .`},
		{"TestSoak/7", "2h", "", `WARREN_SEED=7 WARREN_SOAK=1s go test -count=1 -timeout=1h -run '^TestSoak$' .`},
	} {
		t.Setenv(soakVariable, c.soak)
		t.Setenv(versionsVariable, c.versions)
		t.Setenv(longVariable, "")
		if got, want := repeating(c.test, 7), "cd chaos_test && "+c.want; got != want {
			t.Errorf("%s: %s\nwant %s", c.test, got, want)
		}
	}
}
