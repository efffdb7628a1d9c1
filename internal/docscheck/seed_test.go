package docscheck

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rows is how many rows of each kind docs/internals/seed.md has.
var rows = map[string]int{
	"CN": 21, "CH": 31, "CS": 9, "MS": 11, "PR": 13, "SE": 8, "EX": 6, "CC": 7, "RX": 6, "AU": 7, "TL": 8, "HB": 5, "W": 31, "D": 18,
}

// Every row is there once, with a test at least. That the tests exist is
// checked with those of the other pages.
func TestSeedHasEveryRow(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "internals", "seed.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			continue
		}
		id := strings.TrimSpace(cells[1])
		if found[id]++; id != "row" && !strings.Contains(id, "-") && !testName.MatchString(firstLink(cells[4])) {
			t.Errorf("row %s names no test", id)
		}
	}
	for kind, n := range rows {
		for i := 1; i <= n; i++ {
			if id := fmt.Sprint(kind, i); found[id] != 1 {
				t.Errorf("row %s is there %d times", id, found[id])
			}
		}
		if id := fmt.Sprint(kind, n+1); found[id] != 0 {
			t.Errorf("row %s is not counted", id)
		}
	}
}

// firstLink returns the text of the first link, with its backticks.
func firstLink(cell string) string {
	if m := link.FindStringSubmatch(cell); m != nil {
		return m[1]
	}
	return ""
}
