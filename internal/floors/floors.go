// Package floors holds the import rule of the design: imports only go down. Its tests look at every package
// of the root module, name each import that breaks the rule, and keep heavy modules out.
package floors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Module is the path of the root module.
const Module = "github.com/warren-mq/warren"

// floor is a folder, with all below it that is no floor of its own, and what its packages may import beside
// the standard library and each other.
type floor struct {
	folder  string   // below the module; "." is the module's root package alone
	below   []string // floors, or single folders of one
	modules []string // other modules, by their path
}

// Modules that the root module may use.
const (
	zap     = "go.uber.org/zap"
	backoff = "github.com/cenkalti/backoff/v4"
	yaml    = "go.yaml.in/yaml/v3"
	text    = "golang.org/x/text"
)

// floors are in the order of the design, highest first.
var floors = []floor{
	{"cmd", []string{".", "publisher", "consumer", "channel", "internal/session", "recovery", "topology", "core", "core/wire", "logging", "brokertest", "internal"}, []string{zap}},
	{".", []string{"publisher", "consumer", "channel", "internal/session", "recovery", "topology/compare", "internal/record", "topology", "core", "core/wire", "logging", "internal"}, []string{zap, backoff}},
	{"publisher", []string{"internal/session", "recovery", "internal/record", "topology", "core", "core/wire", "logging", "internal"}, []string{zap, backoff}},
	{"consumer", []string{"internal/offsets", "internal/session", "recovery", "internal/record", "topology", "core", "core/wire", "logging", "internal"}, []string{zap, backoff}},
	{"channel", []string{"internal/offsets", "internal/session", "recovery", "internal/record", "topology", "core", "core/wire", "logging", "internal"}, []string{zap, backoff}},
	{"internal/session", []string{"internal/offsets", "recovery", "internal/record", "topology", "core", "core/wire", "logging", "internal"}, []string{zap, backoff}},
	{"recovery", []string{"topology", "core", "core/wire", "internal"}, []string{backoff}},
	{"topology/compare", []string{"internal/record", "topology", "core", "core/wire", "internal"}, nil},
	{"internal/record", []string{"topology", "core", "core/wire", "internal"}, nil},
	{"topology", []string{"core", "core/wire", "internal"}, []string{yaml}},
	{"core", []string{"core/wire", "internal"}, nil},
	{"core/wire", nil, nil},
	{"core/charset", nil, []string{text}}, // apart, so that nobody links charset tables who does not use them
	{"logging", nil, []string{zap}},
	{"brokertest", []string{"core/wire", "internal/memnet", "internal/pki", "internal/gate", "internal/hook", "internal/script"}, nil}, // never core: it must share no mistake with it
	{"internal/offsets", []string{"core", "internal"}, nil},
	{"internal", []string{"core/wire"}, nil},
}

// Check returns one line for each import, of the packages of the root module given with what they import,
// that breaks the rule.
func Check(imports map[string][]string) []string {
	var broken []string
	for pkg, list := range imports {
		from, ok := floorOf(folder(pkg))
		if !ok {
			broken = append(broken, fmt.Sprintf("%s is on no floor: give its folder one in internal/floors", pkg))
			continue
		}
		for _, imported := range list {
			if !from.allows(imported) {
				broken = append(broken, fmt.Sprintf("%s imports %s, which its floor %q does not allow", pkg, imported, from.folder))
			}
		}
	}
	slices.Sort(broken)
	return broken
}

// folder returns where a package of the module lies.
func folder(pkg string) string {
	return cmp.Or(strings.TrimPrefix(strings.TrimPrefix(pkg, Module), "/"), ".")
}

// floorOf returns the floor of a folder: the one with the longest name that holds it.
func floorOf(folder string) (floor, bool) {
	best, found := floor{}, false
	for _, f := range floors {
		if holds(f.folder, folder) && len(f.folder) >= len(best.folder) {
			best, found = f, true
		}
	}
	return best, found
}

// holds says whether inner is outer or lies in it. The root package holds nothing.
func holds(outer, inner string) bool {
	return inner == outer || outer != "." && strings.HasPrefix(inner, outer+"/")
}

func (f floor) allows(imported string) bool {
	if imported == Module || strings.HasPrefix(imported, Module+"/") {
		return f.allowsFolder(folder(imported))
	}
	if host, _, _ := strings.Cut(imported, "/"); !strings.Contains(host, ".") {
		return true // of the standard library
	}
	return slices.ContainsFunc(f.modules, func(m string) bool { return holds(m, imported) })
}

func (f floor) allowsFolder(imported string) bool {
	to, ok := floorOf(imported)
	if !ok {
		return false
	}
	return to.folder == f.folder || slices.Contains(f.below, to.folder) || slices.Contains(f.below, imported)
}
