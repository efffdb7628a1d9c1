package docscheck

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/warren-mq/warren/brokertest"
)

// given is what the blocks of the users' pages stand in.
const given = `
var (
	ctx     context.Context
	url     string
	client  *warren.Client
	orders  *warren.Publisher
	bodies  [][]byte
	process func(context.Context, []byte) error
	fetchToken func(context.Context, bool) (string, time.Time, error)
)
`

var (
	imported = map[string]string{"context": "context", "errors": "errors", "log": "log", "time": "time"}
	ours     = []string{"core", "publisher", "consumer", "recovery"}
	declared = regexp.MustCompile(`(?m)^(\w+(?:, \w+)*) :=`)
)

// source returns a Go file of a block: the block itself if it is a program, else in a function.
func source(block string) string {
	if strings.HasPrefix(block, "package ") {
		return block
	}
	body := given + "\nfunc block() error {\n" + block
	for _, m := range declared.FindAllStringSubmatch(block, -1) {
		for name := range strings.SplitSeq(m[1], ",") {
			if name = strings.TrimSpace(name); name != "_" {
				body += "_ = " + name + "\n"
			}
		}
	}
	body += "return nil\n}\n\nfunc main() { _ = block() }\n"
	head := "package main\n\nimport \"github.com/warren-mq/warren\"\n"
	for name, path := range imported {
		if strings.Contains(body, name+".") {
			head += fmt.Sprintf("import %q\n", path)
		}
	}
	for _, name := range ours {
		if regexp.MustCompile(`\b` + name + `\.`).MatchString(body) {
			head += fmt.Sprintf("import %q\n", "github.com/warren-mq/warren/"+name)
		}
	}
	return head + body
}

// Every Go block of the users' pages compiles; the pages on testing and topology have tests of their own.
// The program of getting-started.md runs.
func TestTheBlocksOfTheUsersPagesCompile(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := map[string]map[string]string{"Replace": {}}
	for _, page := range pages {
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		if name == "testing" || name == "topology" {
			continue
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range strings.Split(string(text), "```go\n")[1:] {
			code, _, _ := strings.Cut(block, "```")
			file := filepath.Join(dir, fmt.Sprintf("%s%d.go", name, i))
			if err := os.WriteFile(file, []byte(source(code)), 0o600); err != nil {
				t.Fatal(err)
			}
			overlay["Replace"][filepath.Join(here, "blocks", fmt.Sprintf("%s%d", name, i), "main.go")] = file
		}
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(at, list, 0o600); err != nil {
		t.Fatal(err)
	}
	var packages []string
	for file := range overlay["Replace"] {
		packages = append(packages, "./blocks/"+filepath.Base(filepath.Dir(file)))
	}
	slices.Sort(packages)
	bin := filepath.Join(dir, "started")
	if out, err := exec.Command("go", append([]string{"build", "-overlay", at}, packages...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command("go", "build", "-overlay", at, "-o", bin, "./blocks/getting-started0").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), bin)
	run.Env = append(os.Environ(), "AMQP_URL="+brokertest.New(t).URL())
	if out, err := run.CombinedOutput(); err != nil || string(out) != "hello\n" {
		t.Errorf("the program of getting-started.md: %v\n%s", err, out)
	}
}

var (
	errorVar  = regexp.MustCompile(`(?m)^(?:var |\t)(Err[A-Z]\w*) +(?:Code +)?= `)
	errorType = regexp.MustCompile(`(?m)^type ((?:[A-Z]\w*)?Error) `)
)

// errors.md names every error that a public package exports.
func TestThePageOnErrorsIsComplete(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, folder := range []string{"core", "publisher", "consumer", "channel", "recovery", "topology", "topology/compare", "topology/document", "topology/management"} {
		files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range slices.Concat(errorVar.FindAllSubmatch(text, -1), errorType.FindAllSubmatch(text, -1)) {
				found++
				if name := filepath.Base(folder) + "." + string(m[1]); !strings.Contains(string(page), name+"`") {
					t.Errorf("docs/errors.md lacks %s", name)
				}
			}
		}
	}
	if found < 40 {
		t.Errorf("%d errors found", found)
	}
}
