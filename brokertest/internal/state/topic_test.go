package state

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestMatchTopic(t *testing.T) {
	for _, tc := range []struct {
		pattern, key string
		want         bool
	}{
		{"", "", true}, {"", "a", false}, {"#", "", true}, {"#", "a.b", true}, {"*", "", false}, {"*", "a", true},
		{"*", "a.b", false}, {"a.*.c", "a.b.c", true}, {"a.*.c", "a..c", true}, {"a.#.z", "a.z", true},
		{"a.#.z", "a.z.z", true}, {"a.#.z", "a.b.y", false}, {"#.b.#", "b", true}, {"#.b.#", "a.b.c", true},
		{"#.b.#", "a.c", false}, {"#.#", "", true}, {"*.#", "a", true}, {"*.#", "", false}, {"#.*", "a.b", true},
	} {
		if got := matchTopic(words(tc.pattern), words(tc.key)); got != tc.want {
			t.Errorf("%q matches %q: %v, want %v", tc.pattern, tc.key, got, tc.want)
		}
	}
}

// slowMatch is the definition.
func slowMatch(pattern, key []string) bool {
	switch {
	case len(pattern) == 0:
		return len(key) == 0
	case pattern[0] == "#":
		return slowMatch(pattern[1:], key) || len(key) > 0 && slowMatch(pattern, key[1:])
	}
	return len(key) > 0 && (pattern[0] == "*" || pattern[0] == key[0]) && slowMatch(pattern[1:], key[1:])
}

func TestMatchTopicIsAsDefined(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(from ...string) []string {
		s := make([]string, random.IntN(6))
		for i := range s {
			s[i] = from[random.IntN(len(from))]
		}
		return s
	}
	for range 20000 {
		pattern, key := draw("a", "b", "*", "#"), draw("a", "b", "")
		if got, want := matchTopic(pattern, key), slowMatch(pattern, key); got != want {
			t.Fatalf("%q matches %q: %v, want %v", strings.Join(pattern, "."), strings.Join(key, "."), got, want)
		}
	}
}

func TestCheckTopic(t *testing.T) {
	for n, ok := range []bool{true, true, true, false} {
		key := strings.TrimSuffix(fmt.Sprint("a."+strings.Repeat("#.b.", n)), ".")
		if r := checkTopic(key, words(key)); (r == nil) != ok {
			t.Errorf("%q: %v", key, r)
		}
	}
}
