package docscheck

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/brokertest"
)

func TestTheCodeOfThePagesCompiles(t *testing.T) {
	compiler, err := NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, page := range append(found, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks += len(Blocks(string(text)))
		for _, problem := range compiler.Check(page, string(text)) {
			t.Error(problem)
		}
	}
	if blocks < 10 {
		t.Errorf("the pages have %d blocks of code", blocks)
	}
}

func TestCodeThatDoesNotCompileIsFound(t *testing.T) {
	compiler, err := NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, code, want string }{
		{"statements", "report, err := client.Declare(ctx, warren.Topology{})\nif err != nil {\n\treturn err\n}", ""},
		{"what is left out", "err := client.Drain(ctx)\n…\nreturn err", ""},
		{"a method that does not exist", "x := 1\nclient.Undeclare(ctx)", "page.md:4: client.Undeclare undefined"},
		{"a field that does not exist", "q := warren.Queue{Durable: true}", "unknown field Durable"},
		{"what is declared above", "a := 1\n```\n\n```go\nreturn a", "page.md:7: cannot use a"},
		{"a function", "func f(d *warren.Delivery) error { return d.Ack(1) }", "too many arguments"},
		{"a program", "package main\n\nfunc main() { x := 1 }", "page.md:5: declared and not used: x"},
		{"nonsense", "if {", "page.md:3: missing condition"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := fmt.Sprint(compiler.Check("page.md", "# Page\n```go\n"+tt.code+"\n```\n"))
			if (tt.want == "") != (got == "[]") || !strings.Contains(got, tt.want) {
				t.Errorf("Check = %s, want %q", got, tt.want)
			}
		})
	}
}

// The program on the first page is run as it is written there, and prints what the page says.
func TestTheFirstProgramRuns(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "getting-started.md"))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "main.go")
	_, after, _ := strings.Cut(string(text), "```text\n")
	want, _, _ := strings.Cut(after, "```")
	if err := os.WriteFile(program, []byte(Blocks(string(text))[0].Code), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, "go", "run", program)
	run.Env = append(os.Environ(), "AMQP_URL="+brokertest.New(t).URL())
	var said strings.Builder
	run.Stderr = &said
	got, err := run.Output()
	if err != nil || string(got) != want {
		t.Errorf("the program ended with %v and printed %q, want %q; %s", err, got, want, said.String())
	}
}
