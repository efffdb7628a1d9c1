package topology

import (
	"maps"
	"slices"
	"strings"
)

// exchangeArguments are those of RabbitMQ and of the plugins that come with it.
var exchangeArguments = []string{"alternate-exchange", "x-delayed-type", "hash-header", "hash-property"}

// misspelt returns the argument that key is a slip of, "" if key is known or like none. RabbitMQ takes any
// argument, and a misspelt one does nothing.
func misspelt(key string, known []string) string {
	if slices.Contains(known, key) {
		return ""
	}
	plain := strings.ReplaceAll(strings.ToLower(key), "_", "-")
	for _, k := range known {
		if distance(plain, k) <= 2 {
			return k
		}
	}
	return ""
}

func knownQueueArguments() []string { return slices.Sorted(maps.Keys(queueArguments)) }

// distance counts the letters to insert, to drop or to replace that lead from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
