package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A module of one package that its own test sees half of, and others whose tests see more: one for users, an engine
// that is linked into it, and a tool.
var files = map[string]string{
	"go.mod":               "module example.org/m\n\ngo 1.25\n",
	"p/p.go":               "package p\n\nfunc Seen(a, b int) bool { return a < b }\n\nfunc SeenElsewhere() bool { return true }\n\nfunc Unseen() int { return 41 }\n\nfunc SeenByAnEngine() bool { return false }\n",
	"p/p_test.go":          "package p\n\nimport \"testing\"\n\nfunc TestSeen(t *testing.T) {\n\tif Seen(1, 1) || !Seen(1, 2) {\n\t\tt.Fatal()\n\t}\n}\n",
	"q/q.go":               "package q\n\nimport _ \"example.org/m/internal/e\"\n",
	"q/q_test.go":          "package q\n\nimport (\n\t\"testing\"\n\n\t\"example.org/m/p\"\n)\n\nfunc TestElsewhere(t *testing.T) {\n\tif !p.SeenElsewhere() {\n\t\tt.Fatal()\n\t}\n}\n",
	"internal/e/e.go":      "package e\n",
	"internal/e/e_test.go": "package e\n\nimport (\n\t\"testing\"\n\n\t\"example.org/m/p\"\n)\n\nfunc TestEngine(t *testing.T) {\n\tif p.SeenByAnEngine() {\n\t\tt.Fatal()\n\t}\n}\n",
	"internal/t/t_test.go": "package t\n\nimport (\n\t\"testing\"\n\n\t\"example.org/m/p\"\n)\n\nfunc TestTool(t *testing.T) {\n\tif p.Unseen() != 41 {\n\t\tt.Fatal()\n\t}\n}\n",
	"broken/b.go":          "package broken\n\nfunc One() int { return 1 }\n",
	"broken/b_test.go":     "package broken\n\nimport \"testing\"\n\nfunc TestBroken(t *testing.T) { t.Fatal(\"as ever\") }\n",
	"untested/alone.go":    "package untested\n\nfunc One() int { return 1 }\n",
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	try := func(count int, patterns ...string) (string, error) {
		var out strings.Builder
		err := run(context.Background(), options{
			dir: dir, patterns: patterns, seed: 1, count: count, workers: 2, bound: time.Minute, timeout: time.Minute, verbose: true,
		}, &out)
		return out.String(), err
	}

	out, err := try(1000, "./p")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"seed 1: 5 of 5 changes",
		"noticed   p/p.go:3: `a < b` becomes `a <= b` (TestSeen)",
		"noticed   p/p.go:5: `true` becomes `false` (TestElsewhere)",
		"noticed   p/p.go:9: `false` becomes `true` (TestEngine)",
		"UNNOTICED p/p.go:7: `41` becomes `42`",
		"4 of 5 changes noticed: 80 % (0 did not compile)",
		"fewer than the 1000 asked for",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	for name, text := range files {
		if now, _ := os.ReadFile(filepath.Join(dir, name)); string(now) != text {
			t.Errorf("%s is another file now", name)
		}
	}

	if out, err := try(2, "./p"); err != nil || !strings.Contains(out, " of 2 changes noticed") {
		t.Errorf("two of them: %v\n%s", err, out)
	}
	for pattern, want := range map[string]string{
		"./broken":   "as ever",
		"./untested": "no package tests",
		"./q":        "nothing to change",
		"./none":     "go list",
		"fmt":        "no package of the module",
	} {
		if _, err := try(1, pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", pattern, err, want)
		}
	}
}
