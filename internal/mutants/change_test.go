package main

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// bodies and what each becomes, with the parts that matter.
func TestChanges(t *testing.T) {
	for body, want := range map[string][]string{
		"if a < b { f() }":                      {"if a <= b {", "if a >= b {", "{  }"},
		"if a == b { return }":                  {"a != b", "{  }"},
		"if !ok { f() }":                        {"if ok {"},
		"if ok() { f() }":                       {"if !(ok()) {"},
		"if a && b { f() }":                     {"a || b", "!(a && b)"},
		"for ok() { n++ }":                      {"for !(ok()) {", "n--"},
		"x = 1":                                 {"x = 2"},
		"x += y":                                {"x -= y"},
		"x = y * 0x10":                          {"y / 0x10", "y * 17"},
		"x = min(a, b)":                         {"max(a, b)"},
		"x = cmp.Or(a, b)":                      {"cmp.Or(a)", "cmp.Or(b)"},
		"return errors.Join(a, b, c)":           {"errors.Join(b, c)", "errors.Join(a, c)", "errors.Join(a, b)"},
		"return fmt.Errorf(`f: %w`, err)":       {"`f: %v`"},
		"return 1, err":                         {"return 1, nil", "return 2, err"},
		"defer f()":                             {"{  }"},
		"x.ok = true":                           {"x.ok = false"},
		"x = one":                               {"x = two"},
		"x = two":                               {"x = one"},
		"switch x { case a, b: f(); g() }":      {"case a:", "case b:", "case a, b: }"},
		"select { case <-c: n++ }":              {"n--", "case <-c:  }"},
		"for { break }":                         {"{  }"},
		"func() { mu.Lock(); f() }()":           {"{ ; f() }"},
		"x = make([]byte, 0, 4)":                nil,
		"x = y.two":                             nil,
		"x := time.NewTimer(d); defer x.Stop()": nil,
		"x := time.AfterFunc(d, f); defer x.Stop()": {"time.AfterFunc(d, f); }"},
		"clear(x[n:])":                       nil,
		"clear(x)":                           {"{  }"},
		"var x = `text`":                     nil,
		"f()\n\tx = two // as it was before": {"return; f()"},
	} {
		src := "package p\n\nfunc fn() {\n\t" + body + "\n}\n"
		if strings.HasPrefix(body, "return ") {
			src = strings.Replace(src, "fn()", "fn() error", 1)
		}
		changed := changesOf(t, src)
		for _, w := range want {
			if !slices.ContainsFunc(changed, func(s string) bool { return strings.Contains(strip(s), strip(w)) }) {
				t.Errorf("%s: nothing with %q in:\n%s", body, w, strings.Join(changed, "\n"))
			}
		}
		for _, s := range changed {
			if s == src {
				t.Errorf("%s: a change that changes nothing", body)
			}
		}
		if limit := 1; want == nil && len(changed) > limit { // the statement itself may be dropped
			t.Errorf("%s: %d changes, want %d at most:\n%s", body, len(changed), limit, strings.Join(changed, "\n"))
		}
	}
}

func strip(s string) string { return strings.Join(strings.Fields(s), " ") }

// changesOf returns a source after each of its changes.
func changesOf(t *testing.T, src string) []string {
	t.Helper()
	fset := token.NewFileSet()
	parse := func(name, src string) map[string]string {
		file, err := parser.ParseFile(fset, name, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		to := make(map[string]string)
		siblings(file, to)
		return to
	}
	names := parse("consts.go", "package p\n\nconst (\n\tone = iota\n\t_\n\ttwo\n)\n\nconst alone = 1\n")
	if len(names) != 2 {
		t.Errorf("constants and those behind them: %v", names)
	}
	file, err := parser.ParseFile(fset, "src.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range find(fset, file, []byte(src), names) {
		if c.file != "src.go" || c.line < 3 || c.what == "" {
			t.Errorf("%+v", c)
		}
		all = append(all, string(c.apply([]byte(src))))
	}
	return all
}

func TestASampleIsTheSeedsAlone(t *testing.T) {
	var all []change
	for i := range 50 {
		all = append(all, change{file: "f.go", start: i})
	}
	turned := slices.Clone(all)
	slices.Reverse(turned)
	same := func(a, b change) bool { return a.start == b.start }
	if !slices.EqualFunc(shuffled(all, 7), shuffled(turned, 7), same) {
		t.Error("one seed, two samples")
	}
	if slices.EqualFunc(shuffled(all, 7), shuffled(all, 8), same) {
		t.Error("two seeds, one sample")
	}
}
