package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/warren-mq/warren/internal/errs"
)

// module is what go list says of the packages.
type module struct {
	dir    string
	all    []*pkg
	chosen []*pkg          // those to change
	inside map[string]bool // import paths that packages for users are made of
}

// pkg is a package, as go list prints it.
type pkg struct {
	Dir, ImportPath                                               string
	GoFiles, TestGoFiles, XTestGoFiles, TestImports, XTestImports []string
	Deps                                                          []string // of itself, not of its tests
}

// load lists the packages of the module in dir.
func load(ctx context.Context, dir string, patterns []string) (*module, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	m := &module{dir: dir}
	if m.all, err = list(ctx, dir, "./..."); err != nil {
		return nil, err
	}
	m.inside = make(map[string]bool)
	for _, p := range m.all {
		if m.forUsers(p) {
			m.inside[p.ImportPath] = true
			for _, d := range p.Deps {
				m.inside[d] = true
			}
		}
	}
	chosen, err := list(ctx, dir, patterns...)
	if err != nil {
		return nil, err
	}
	for _, c := range chosen {
		i := slices.IndexFunc(m.all, func(p *pkg) bool { return p.ImportPath == c.ImportPath })
		if i < 0 {
			return nil, fmt.Errorf("%s is no package of the module in %s", c.ImportPath, dir)
		}
		m.chosen = append(m.chosen, m.all[i])
	}
	return m, nil
}

func list(ctx context.Context, dir string, patterns ...string) ([]*pkg, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-json=Dir,ImportPath,GoFiles,TestGoFiles,XTestGoFiles,TestImports,XTestImports,Deps"}, patterns...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		if e, ok := errs.AsType[*exec.ExitError](err); ok {
			return nil, fmt.Errorf("go list: %s", bytes.TrimSpace(e.Stderr))
		}
		return nil, err
	}
	var pkgs []*pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(pkg)
		if err := d.Decode(p); err == io.EOF {
			return pkgs, nil
		} else if err != nil {
			return nil, err
		}
		pkgs = append(pkgs, p)
	}
}

// tested says whether the package has tests.
func (p *pkg) tested() bool { return len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 }

// testers returns the packages whose tests p is seen by: its own first, then those that import it in tests,
// but for programs and tools, which take long and have other things to test.
func (m *module) testers(p *pkg) [][]string {
	var own, others []string
	for _, t := range m.all {
		switch {
		case t == p && t.tested():
			own = append(own, t.ImportPath)
		case t != p && m.inside[t.ImportPath] && (slices.Contains(t.TestImports, p.ImportPath) || slices.Contains(t.XTestImports, p.ImportPath)):
			others = append(others, t.ImportPath)
		}
	}
	return slices.DeleteFunc([][]string{own, others}, func(s []string) bool { return len(s) == 0 })
}

// forUsers reports whether users may import a package, or a test of them stands in it: it is no program and
// nothing internal.
func (m *module) forUsers(p *pkg) bool {
	rel, err := filepath.Rel(m.dir, p.Dir)
	top, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
	return err == nil && top != "cmd" && top != "internal"
}

// changes returns every change of the chosen packages.
func (m *module) changes() ([]change, error) {
	var all []change
	for _, p := range m.chosen {
		cs, err := p.changes(m.dir)
		if err != nil {
			return nil, err
		}
		all = append(all, cs...)
	}
	return all, nil
}

// changes names files relative to a folder.
func (p *pkg) changes(from string) ([]change, error) {
	fset, sibling := token.NewFileSet(), make(map[string]string)
	var all []change
	for pass := range 2 { // the constants of all files first
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			src, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			if path, err = filepath.Rel(from, path); err != nil {
				return nil, err
			}
			file, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			if pass == 0 {
				siblings(file, sibling)
				continue
			}
			for _, c := range find(fset, file, src, sibling) {
				c.pkg = p
				all = append(all, c)
			}
		}
	}
	return all, nil
}
