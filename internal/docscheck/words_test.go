package docscheck

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// stilted are words that turn a sentence around, or that few write.
var stilted = regexp.MustCompile(`(?i)\b(of which|whoever|as far as|anew)\b`)

// unread is what users do not read.
var unread = regexp.MustCompile(`_test\.go$|(^|/)(internal|docs/internals|chaos_test|bench)/`)

// What users read says its subject first: their pages, and the comments of the packages that they import.
func TestPlainWords(t *testing.T) {
	cmd := exec.Command("git", "ls-files", "*.go", "README.md", "docs/*.md")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for name := range strings.FieldsSeq(string(out)) {
		if unread.MatchString(name) {
			continue
		}
		text, err := os.ReadFile(root + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		read++
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			_, comment, isComment := strings.Cut(line, "//")
			if strings.HasSuffix(name, ".md") {
				comment, isComment = line, true
			}
			if word := stilted.FindString(comment); isComment && word != "" {
				t.Errorf("%s:%d: %q", name, n, word)
			}
		}
	}
	if read < 100 {
		t.Errorf("only %d files were read", read)
	}
}
