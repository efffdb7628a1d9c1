package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
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

// runSeed is that of this run of the tests: what the environment asks for, or a new one.
var runSeed = sync.OnceValues(func() (uint64, error) {
	text := os.Getenv(seedVariable)
	if text == "" {
		return uint64(time.Now().UnixNano()), nil
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		err = fmt.Errorf("%s: %w", seedVariable, err)
	}
	return seed, err
})

// firstSeed is runSeed for a test.
func firstSeed(t testing.TB) uint64 {
	t.Helper()
	seed, err := runSeed()
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

// seeded returns the chance of a seed.
func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// repeatable has the test say how to repeat it if it fails.
func repeatable(t testing.TB) {
	t.Helper()
	seed := firstSeed(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat it with: %s", repeating(t.Name(), seed))
		}
	})
}

// repeating returns the command that repeats a test of a run with that seed.
func repeating(test string, seed uint64) string {
	var command, pattern strings.Builder
	name, soak := test, ""
	if scenario, of := strings.CutPrefix(test, "TestSoak/"); of { // its name is its seed, with which it is the first
		name, soak = "TestSoak", soakVariable+"=1s "
		if own, err := strconv.ParseUint(scenario, 10, 64); err == nil {
			seed = own
		}
	}
	fmt.Fprintf(&command, "cd chaos_test && %s=%d %s", seedVariable, seed, soak)
	for _, variable := range []string{longVariable, versionsVariable} {
		if value := os.Getenv(variable); value != "" {
			fmt.Fprintf(&command, "%s=%q ", variable, value)
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		fmt.Fprintf(&pattern, "/^%s$", regexp.QuoteMeta(part))
	}
	fmt.Fprintf(&command, "go test %s-count=1 -timeout=1h -v -run '%s' .", raceFlag, pattern.String()[1:])
	return command.String()
}

// shuffled returns faults in an order that the seed repeats.
func shuffled(t *testing.T, faults []fault) []fault {
	t.Helper()
	mixed := append([]fault(nil), faults...)
	seeded(firstSeed(t)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	return mixed
}

func TestAFailedRunSaysHowToRepeatIt(t *testing.T) {
	const command = "go test " + raceFlag + "-count=1 -timeout=1h -v -run "
	for _, c := range []struct{ test, versions, want string }{
		{"TestA", "", `WARREN_SEED=7 ` + command + `'^TestA$' .`},
		{"TestA/4.3/some_name", "4.3 4.0", `WARREN_SEED=7 WARREN_VERSIONS="4.3 4.0" ` + command + `'^TestA$/^4\.3$/^some_name$' .`},
		{"TestSoak/9", "", `WARREN_SEED=9 WARREN_SOAK=1s ` + command + `'^TestSoak$' .`},
	} {
		t.Setenv(versionsVariable, c.versions)
		t.Setenv(longVariable, "")
		if got, want := repeating(c.test, 7), "cd chaos_test && "+c.want; got != want {
			t.Errorf("%s: %s\nwant %s", c.test, got, want)
		}
	}
}
