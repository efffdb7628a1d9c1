package main

import (
	"context"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// brokerImport is what the tests of a package import when they need a real broker.
const brokerImport = "github.com/warren-mq/warren/internal/docker/dockertest"

// phase is one go test: packages of one module that need a broker, or need none.
type phase struct {
	dir      string
	brokers  bool
	packages []string
}

func (p phase) String() string {
	kind := "unit tests"
	if p.brokers {
		kind = "tests against real brokers"
	}
	if p.dir == "." {
		return kind
	}
	return kind + " of " + p.dir
}

// plan returns the phases of all modules at or below root, those without a broker first.
func plan(ctx context.Context, root string) ([]phase, error) {
	modules, err := findModules(root)
	if err != nil {
		return nil, err
	}
	var unit, brokers []phase
	for _, dir := range modules {
		cmd := exec.CommandContext(ctx, "go", "list", "-f", `{{.ImportPath}} {{join .TestImports " "}} {{join .XTestImports " "}}`, "./...")
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("listing the packages of %s: %w%s", dir, err, stderrOf(err))
		}
		u, b := split(dir, string(out))
		unit, brokers = append(unit, u), append(brokers, b)
	}
	empty := func(p phase) bool { return len(p.packages) == 0 }
	return slices.DeleteFunc(append(unit, brokers...), empty), nil
}

// split sorts the lines of go list, a package and then what its tests import, into two phases.
func split(dir, list string) (unit, brokers phase) {
	unit, brokers = phase{dir: dir}, phase{dir: dir, brokers: true}
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		p := &unit
		if slices.Contains(words[1:], brokerImport) {
			p = &brokers
		}
		p.packages = append(p.packages, words[0])
	}
	return unit, brokers
}

// findModules returns the directories with a go.mod at or below root, in lexical order.
func findModules(root string) ([]string, error) {
	var modules []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case !d.IsDir() && d.Name() == "go.mod":
			modules = append(modules, filepath.Dir(path))
		}
		return nil
	})
	slices.Sort(modules)
	return modules, err
}

// stderrOf returns what a failed command said.
func stderrOf(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return ": " + strings.TrimSpace(string(exit.Stderr))
	}
	return ""
}
