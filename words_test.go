package warren_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// The kinds of events, stages and outcomes are all to be had by one import.
func TestTheRootHasEveryEventStageAndOutcome(t *testing.T) {
	here := constants(t, "words.go")
	for _, file := range []string{"recovery/event.go", "recovery/state.go", "core/confirms.go"} {
		names := constants(t, file)
		if len(names) == 0 {
			t.Errorf("%s has no constants", file)
		}
		for _, name := range names {
			if !slices.Contains(here, name) {
				t.Errorf("words.go lacks %s of %s", name, file)
			}
		}
	}
}

// constants returns the names of the exported constants that a file declares.
func constants(t *testing.T, file string) (names []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
			for _, spec := range g.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if name.IsExported() {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}
