package state

import (
	"slices"
	"strings"
)

// words splits a key of a topic exchange. The empty key has no word.
func words(key string) []string {
	if key == "" {
		return nil
	}
	return strings.Split(key, ".")
}

// matchTopic matches the words of a routing key with those of a binding key, where * stands for one word and
// # for any number of them.
func matchTopic(pattern, key []string) bool {
	// As in matching with one kind of wildcard at a time: on a mismatch, the last # takes one word more.
	p, k := 0, 0
	lastHash, resume := -1, 0
	for k < len(key) {
		switch {
		case p < len(pattern) && pattern[p] == "#":
			lastHash, resume = p, k
			p++
		case p < len(pattern) && (pattern[p] == "*" || pattern[p] == key[k]):
			p++
			k++
		case lastHash >= 0:
			resume++
			p, k = lastHash+1, resume
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == "#" {
		p++
	}
	return p == len(pattern)
}

// checkTopic refuses a binding key that would be slow to match.
func checkTopic(key string, pattern []string) *Refusal {
	const most = 2
	hashes := len(pattern) - len(slices.DeleteFunc(slices.Clone(pattern), func(w string) bool { return w == "#" }))
	if hashes > most {
		return Refuse(PreconditionFailed, "Topic binding key '%s' uses %d '#' wildcards, at most %d are allowed", key, hashes, most)
	}
	return nil
}
