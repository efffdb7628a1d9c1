package docscheck

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/warren-mq/warren/internal/errs"
)

// imports are the packages that the code of a page may use without importing them.
var imports = []string{
	"context", "crypto/tls", "errors", "fmt", "log", "log/slog", "net", "net/http", "os", "os/signal", "syscall", "testing", "testing/synctest",
	"time",
	module, module + "/brokertest", module + "/channel", module + "/consumer", module + "/core", module + "/core/wire",
	module + "/publisher", module + "/recovery", module + "/topology", module + "/topology/compare",
	module + "/topology/document", module + "/topology/management",
}

const module = "github.com/warren-mq/warren"

// words are what the code of a page may use without declaring it.
const words = `
var (
	ctx    context.Context
	url    string
	client *warren.Client
	handle warren.Handler
	b      *brokertest.Broker
	t      *testing.T
)
`

// Block is the Go code between two fences of a page.
type Block struct {
	Line int // of its first line, from 1
	Code string
}

// Blocks returns the Go code of a page.
func Blocks(text string) []Block {
	var blocks []Block
	inside := false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case !inside && line == "```go":
			inside = true
			blocks = append(blocks, Block{Line: i + 2})
		case inside && line == "```":
			inside = false
		case inside:
			if line == "…" { // stands for what is left out
				line = ""
			}
			blocks[len(blocks)-1].Code += line + "\n"
		}
	}
	return blocks
}

// Compiler checks that the code of pages compiles.
type Compiler struct {
	fset   *token.FileSet
	loader types.Importer
}

// NewCompiler returns a compiler of pages that use the packages as they are in the working directory's module.
func NewCompiler() (*Compiler, error) {
	args := append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}, imports...)
	list := exec.Command("go", args...)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		exports[path] = file
	}
	fset := token.NewFileSet()
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	return &Compiler{fset, importer.ForCompiler(fset, "gc", lookup)}, nil
}

// Check returns what is wrong with the code of a page, each with its line. A block that begins with a package clause is a
// program, and complete. Functions are declared for the whole page, and other code sees what the blocks above it declare.
func (c *Compiler) Check(page, text string) []error {
	var problems []error
	var functions, statements bytes.Buffer
	depth := 0
	for _, b := range Blocks(text) {
		line := fmt.Sprintf("//line %s:%d\n%s", page, b.Line, b.Code)
		switch {
		case strings.HasPrefix(b.Code, "package "):
			problems = append(problems, c.check(page, line, false)...)
		case strings.HasPrefix(b.Code, "func "):
			functions.WriteString(line)
		default:
			statements.WriteString("{\n" + line)
			depth++
		}
	}
	var file strings.Builder
	file.WriteString("package page\n")
	for _, path := range imports {
		fmt.Fprintf(&file, "import %q\n", path)
	}
	file.WriteString(words + functions.String())
	file.WriteString("func _() error {\n" + statements.String() + strings.Repeat("}\n", depth) + "return nil\n}\n")
	return append(problems, c.check(page, file.String(), true)...)
}

// check compiles one file. A part of a program may import and declare what only the rest of it would use.
func (c *Compiler) check(page, source string, part bool) []error {
	file, err := parser.ParseFile(c.fset, page, source, 0)
	if err != nil {
		return []error{err}
	}
	var problems []error
	config := types.Config{Importer: c.loader, Error: func(err error) {
		if e, ok := errs.AsType[types.Error](err); !ok || !part || !e.Soft {
			problems = append(problems, err)
		}
	}}
	_, _ = config.Check(page, c.fset, []*ast.File{file}, nil) // Error has been told
	return problems
}
