package chaos

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// shuffled returns faults in an order that WARREN_SEED repeats; a failed test says which that was.
func shuffled(t *testing.T, faults []fault) []fault {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("WARREN_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("WARREN_SEED: %v", err)
		}
		seed = n
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat it with: cd chaos_test && WARREN_SEED=%d go test -run '%s$' .", seed, t.Name())
		}
	})
	mixed := append([]fault(nil), faults...)
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	return mixed
}

// long says whether the long scenarios are wanted too.
func long() bool { return os.Getenv("WARREN_CHAOS") == "all" }
