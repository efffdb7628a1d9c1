package floors

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// doubling matches what doubles a duration: 2*x within min or max, x *= 2, and a shift of a time unit.
var doubling = regexp.MustCompile(`(min|max)\([^\n]*\b2 ?\*[^\n]*(?i:wait|pause|delay|backoff)|(?i:wait|pause|delay|backoff)\w* (\*= 2|<<= 1)\b|(?i:second|wait|pause|delay|reopen) ?<<`)

// Every wait that grows between attempts comes from internal/backoff, so that a fleet never retries in step.
func TestWaitsDoubleInOnePlace(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(path[len("../.."):])
		switch {
		case d.IsDir() && (name == "/brokertest" || name == "/internal/backoff" || strings.HasPrefix(d.Name(), ".git")): // the test broker only polls
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		src, err := os.ReadFile(path)
		for i, line := range strings.Split(string(src), "\n") {
			if doubling.MatchString(line) {
				t.Errorf("%s:%d: %s\n\tuse internal/backoff, which draws each wait", name, i+1, strings.TrimSpace(line))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDoublingIsSeen(t *testing.T) {
	for line, want := range map[string]bool{
		"c.wait = min(max(first, 2*c.wait), last)":   true,
		"h.wait = min(2*h.wait, lastHeld)":           true,
		"pause *= 2":                                 true,
		"min(limit, 50*time.Millisecond<<(n-1))":     true,
		"min(firstReopen<<min(n, 20), lastReopen)":   true,
		"return min(2*chunk, maxChunk)":              false,
		"const readBuffer = 128 << 10":               false,
		"cmd.WaitDelay = 2 * time.Second":            false,
		"p.due = now.Add(p.wait.Next(first, limit))": false,
	} {
		if got := doubling.MatchString(line); got != want {
			t.Errorf("%q: %t; want %t", line, got, want)
		}
	}
}
