package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPackagesWithBrokersAreAPhaseOfTheirOwn(t *testing.T) {
	unit, brokers := split("x", "x/a testing fmt\nx/b  testing "+brokerImport+"\n\nx/c\n")
	if !slices.Equal(unit.packages, []string{"x/a", "x/c"}) || unit.brokers || unit.dir != "x" {
		t.Errorf("unit tests: %+v", unit)
	}
	if !slices.Equal(brokers.packages, []string{"x/b"}) || !brokers.brokers {
		t.Errorf("tests with brokers: %+v", brokers)
	}
}

func TestModulesAreFoundBelowTheRoot(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{".", "nested/deep", ".hidden", "testdata/m"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, dir, "go.mod"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := findModules(root)
	if want := []string{root, filepath.Join(root, "nested/deep")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("findModules = %v, %v; want %v", got, err, want)
	}
}

func TestThisProjectsPlanHasUnitTestsFirst(t *testing.T) {
	phases, err := plan(t.Context(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(phases) < 2 || phases[0].brokers || !phases[len(phases)-1].brokers {
		t.Errorf("phases %v", phases)
	}
}
