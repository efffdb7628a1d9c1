package docscheck

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// pages returns every page of the project.
func pages(t *testing.T) []string {
	t.Helper()
	var pages []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || path != root && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case filepath.Ext(path) == ".md":
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

func TestEveryTestAndFileThatThePagesNameExists(t *testing.T) {
	found := pages(t)
	if !slices.Contains(found, filepath.Join(root, "docs", "internals", "guarantees.md")) {
		t.Fatalf("docs/internals/guarantees.md is not among the pages %v", found)
	}
	var checker Checker
	for _, page := range found {
		problems, err := checker.Check(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range problems {
			t.Error(problem)
		}
	}
}

var sourceFile = regexp.MustCompile("`((?:[a-z_]+/)+[a-z_]+\\.go)`")

// A page names a source file by its path from the root.
func TestEverySourceFileThatThePagesNameExists(t *testing.T) {
	named := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range sourceFile.FindAllStringSubmatch(string(text), -1) {
			named++
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s names %s, which does not exist", page, m[1])
			}
		}
	}
	if named < 40 {
		t.Errorf("the pages name %d source files", named)
	}
}

func TestEveryGuaranteeNamesATest(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "internals", "guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		// A row of a table, neither its head nor the rule below it.
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|-") || strings.HasPrefix(line, "| promise") {
			continue
		}
		if rows++; !strings.Contains(line, "[`Test") && !strings.Contains(line, "[`Fuzz") {
			t.Errorf("no test proves it: %s", line)
		}
	}
	if rows == 0 {
		t.Error("docs/internals/guarantees.md promises nothing")
	}
}

// Each behaviour in docs/internals/recovery.md names a test, or, behind a dash, why there is none.
func TestEveryBehaviourNamesATest(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "internals", "recovery.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows, behaviours := 0, false
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "| behaviour |"):
			behaviours = true
		case !strings.HasPrefix(line, "|"):
			behaviours = false
		case behaviours && !strings.HasPrefix(line, "|-"):
			if rows++; !strings.Contains(line, "[`Test") && !strings.HasPrefix(strings.Split(line, "|")[2], " – ") {
				t.Errorf("no test shows it: %s", line)
			}
		}
	}
	if rows < 100 {
		t.Errorf("docs/internals/recovery.md has %d behaviours", rows)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("pkg/a_test.go", "func TestA(t *testing.T) {\n\tt.Run(\"some words\", x)\n}\n// func TestC(\nfunc FuzzB(")
	write("pkg/b.go", "func F(x int) {}\n\nfunc (t *T) M() {}\n// func (t *T) N()")
	tests := []struct{ name, text, want string }{
		{"a function that exists", "[`F`](../pkg/b.go), then [`T.M`](../pkg/b.go)", ""},
		{"a function that does not exist", "[`G`](../pkg/b.go)", "../pkg/b.go has no function G"},
		{"a method that is only mentioned in the source", "[`T.N`](../pkg/b.go)", "../pkg/b.go has no function T.N"},
		{"a method that is named without its type", "[`M`](../pkg/b.go)", "../pkg/b.go has no function M"},
		{"a test that exists", "| x | [`TestA`](../pkg) |", ""},
		{"a fuzz target that exists", "[`FuzzB`](../pkg)", ""},
		{"a test that is only mentioned in the source", "[`TestC`](../pkg)", "../pkg has no test TestC"},
		{"a test that does not exist", "[`TestA`](../pkg), [`TestAB`](../pkg)", "../pkg has no test TestAB"},
		{"a subtest that exists", "[`TestA/some words`](../pkg)", ""},
		{"a subtest that does not exist", "[`TestA/words`](../pkg)", `../pkg has no subtest named "words"`},
		{"a package that does not exist", "[`TestA`](../other)", "link to ../other, which does not exist"},
		{"a test without its package", "proved by `TestA`", "`TestA` is no link"},
		{"a file that exists", "[source](../pkg/a_test.go#L1)", ""},
		{"a file that does not exist", "[source](../pkg/c.go)", "link to ../pkg/c.go, which does not exist"},
		{"links elsewhere", "[spec](https://example.org/x) and [above](#above)", ""},
		{"code", "```\n[`TestNone`](nowhere) `TestX`\n```", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			write("docs/page.md", "# Page\n"+tt.text+"\n")
			got, err := new(Checker).Check(filepath.Join(dir, "docs", "page.md"))
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(got, "\n")
			if (len(got) > 0) != (tt.want != "") || !strings.Contains(all, tt.want) {
				t.Errorf("Check = %q, want %q", all, tt.want)
			}
			if tt.want != "" && !strings.Contains(all, "page.md:2: ") {
				t.Errorf("%q does not name the line", all)
			}
		})
	}
}
