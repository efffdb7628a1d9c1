package docscheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var errorName = regexp.MustCompile(`^(Err[A-Z]\w*|\w*Error)$`)

// docs/errors.md has every error that the public packages export, and no other.
func TestEveryErrorIsOnItsPage(t *testing.T) {
	exported := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains([]string{"testdata", "internal", "cmd", "bench", "chaos_test"}, d.Name()) ||
			path != root && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			for _, name := range errorsOf(file) {
				exported[file.Name.Name+"."+name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`\\*?([a-z]+\\.(?:Err[A-Z]\\w*|\\w*Error))`").FindAllStringSubmatch(string(page), -1) {
		named[m[1]] = true
	}
	for _, name := range slices.Sorted(maps.Keys(exported)) {
		if !named[name] {
			t.Errorf("docs/errors.md does not name %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if !exported[name] {
			t.Errorf("docs/errors.md names %s, which does not exist", name)
		}
	}
	if len(exported) < 30 {
		t.Errorf("%d errors were found", len(exported))
	}
}

// errorsOf returns the exported variables, constants and types of a file that are errors by their names.
func errorsOf(file *ast.File) []string {
	var names []string
	add := func(id *ast.Ident) {
		if id.IsExported() && errorName.MatchString(id.Name) {
			names = append(names, id.Name)
		}
	}
	for _, decl := range file.Decls {
		general, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				add(spec.Name)
			case *ast.ValueSpec:
				for _, id := range spec.Names {
					add(id)
				}
			}
		}
	}
	return names
}
