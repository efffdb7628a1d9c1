package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// change replaces the bytes of a file from start to end.
type change struct {
	pkg        *pkg
	file       string // its path
	line       int
	start, end int
	with       string
	what       string // in words
}

func (c change) String() string {
	return fmt.Sprintf("%s:%d: %s", c.file, c.line, c.what)
}

// apply returns the changed source.
func (c change) apply(src []byte) []byte {
	return slices.Concat(src[:c.start], []byte(c.with), src[c.end:])
}

// shuffled returns the changes in an order of the seed; a sample is its beginning.
func shuffled(all []change, seed uint64) []change {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b change) int {
		return cmp.Or(strings.Compare(a.file, b.file), a.start-b.start, a.end-b.end, strings.Compare(a.with, b.with))
	})
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// finder collects the changes of one file. Whether one compiles it does not ask.
type finder struct {
	fset    *token.FileSet
	src     []byte
	sibling map[string]string // a constant's successor in its group
	kept    map[ast.Node]bool // what to leave: it compiles no more, or makes no difference to anybody
	found   []change
}

// find returns the changes of the functions of a file.
func find(fset *token.FileSet, file *ast.File, src []byte, sibling map[string]string) []change {
	f := &finder{fset: fset, src: src, sibling: sibling, kept: make(map[ast.Node]bool)}
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			f.function(fn)
			ast.Inspect(fn.Body, f.visit)
		}
	}
	return f.found
}

func (f *finder) offset(p token.Pos) int { return f.fset.Position(p).Offset }

func (f *finder) text(from, to token.Pos) string {
	return string(f.src[f.offset(from):f.offset(to)])
}

func (f *finder) textOf(n ast.Node) string { return f.text(n.Pos(), n.End()) }

// add notes the change of what stands between two positions.
func (f *finder) add(from, to token.Pos, with, what string) {
	p := f.fset.Position(from)
	f.found = append(f.found, change{file: p.Filename, line: p.Line, start: p.Offset, end: f.offset(to), with: with, what: what})
}

// replace notes the change of n into other text.
func (f *finder) replace(n ast.Node, with string) {
	f.add(n.Pos(), n.End(), with, fmt.Sprintf("%s becomes %s", brief(f.textOf(n)), brief(with)))
}

// brief is the first line of a source text.
func brief(s string) string {
	line, _, more := strings.Cut(s, "\n")
	if more {
		line += " …"
	}
	return "`" + strings.TrimSpace(line) + "`"
}

func (f *finder) function(fn *ast.FuncDecl) {
	if fn.Type.Results == nil && len(fn.Body.List) > 1 {
		first := fn.Body.List[0]
		f.add(first.Pos(), first.Pos(), "return; ", fn.Name.Name+" returns at once")
	}
	if n := len(fn.Body.List); fn.Type.Results != nil && n > 0 {
		f.kept[fn.Body.List[n-1]] = true // would not compile without
	}
	f.keepMemory(fn.Body)
}

// keepMemory keeps statements that only let go of memory earlier: the deferred Stop of a timer or ticker, which is
// collected anyway when nobody refers to it, and the clearing of what lies beyond the end of a slice.
func (f *finder) keepMemory(body *ast.BlockStmt) {
	timers := make(map[string]bool)
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if len(n.Lhs) == 1 && len(n.Rhs) == 1 {
				rhs := f.textOf(n.Rhs[0])
				timers[f.textOf(n.Lhs[0])] = strings.HasPrefix(rhs, "time.NewTimer(") || strings.HasPrefix(rhs, "time.NewTicker(")
			}
		case *ast.DeferStmt:
			name, stop := strings.CutSuffix(f.textOf(n.Call), ".Stop()")
			f.kept[n] = stop && timers[name]
		case *ast.ExprStmt:
			if c, ok := n.X.(*ast.CallExpr); ok && f.textOf(c.Fun) == "clear" {
				_, tail := c.Args[0].(*ast.SliceExpr)
				f.kept[n] = tail
			}
		}
		return true
	})
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BlockStmt:
		f.list(n.List)
	case *ast.CaseClause:
		f.caseClause(n)
	case *ast.CommClause:
		f.list(n.Body)
	case *ast.IfStmt:
		f.condition(n.Cond)
	case *ast.ForStmt:
		f.condition(n.Cond)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			f.replace(n, f.textOf(n.X))
		}
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.CallExpr:
		f.call(n)
	case *ast.ReturnStmt:
		for _, r := range n.Results {
			if id, ok := r.(*ast.Ident); ok && id.Name == "err" {
				f.replace(id, "nil")
			}
		}
	case *ast.BasicLit:
		f.literal(n)
	case *ast.Ident:
		f.identifier(n)
	case *ast.SelectorExpr:
		ast.Inspect(n.X, f.visit)
		return false // the name after the dot stands for nothing of this package
	}
	return true
}

// list drops statements.
func (f *finder) list(stmts []ast.Stmt) {
	for _, s := range stmts {
		drop := false
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.GoStmt, *ast.SendStmt, *ast.BranchStmt, *ast.ReturnStmt:
			drop = true
		case *ast.AssignStmt:
			drop = s.Tok != token.DEFINE
			f.assignment(s)
		}
		if drop && !f.kept[s] {
			f.add(s.Pos(), s.End(), "", brief(f.textOf(s))+" dropped")
		}
		if s, ok := s.(*ast.IncDecStmt); ok {
			f.replace(s, f.textOf(s.X)+map[token.Token]string{token.INC: "--", token.DEC: "++"}[s.Tok])
		}
	}
}

var assignments = map[token.Token]string{
	token.ADD_ASSIGN: "-=", token.SUB_ASSIGN: "+=", token.MUL_ASSIGN: "/=", token.QUO_ASSIGN: "*=",
	token.OR_ASSIGN: "&=", token.AND_ASSIGN: "|=",
}

func (f *finder) assignment(s *ast.AssignStmt) {
	if op, ok := assignments[s.Tok]; ok {
		f.operator(s, s.TokPos, s.Tok, op)
	}
}

// operator puts another one in the place of one of n.
func (f *finder) operator(n ast.Node, at token.Pos, old token.Token, op string) {
	end := at + token.Pos(len(old.String()))
	with := f.text(n.Pos(), at) + op + f.text(end, n.End())
	f.add(at, end, op, fmt.Sprintf("%s becomes %s", brief(f.textOf(n)), brief(with)))
}

// caseClause drops what is done in a case, or one of several values that it is for.
func (f *finder) caseClause(c *ast.CaseClause) {
	f.list(c.Body)
	if len(c.Body) > 1 {
		f.add(c.Body[0].Pos(), c.Body[len(c.Body)-1].End(), "", brief(f.text(c.Pos(), c.Colon+1))+" does nothing")
	}
	f.without(c.List, "case")
}

// without drops one of several expressions.
func (f *finder) without(list []ast.Expr, of string) {
	if len(list) < 2 {
		return
	}
	for i, e := range list {
		from, to := e.Pos(), e.End()
		if i == 0 {
			to = list[1].Pos()
		} else {
			from = list[i-1].End()
		}
		f.add(from, to, "", fmt.Sprintf("%s dropped from %s", brief(f.textOf(e)), of))
	}
}

// condition negates what is no comparison and no negation, which binary and visit do.
func (f *finder) condition(e ast.Expr) {
	switch e := e.(type) {
	case nil:
		return
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			return
		}
	case *ast.BinaryExpr:
		if e.Op != token.LAND && e.Op != token.LOR {
			return
		}
	}
	f.replace(e, "!("+f.textOf(e)+")")
}

var operators = map[token.Token][]string{
	token.LSS: {"<=", ">="}, token.LEQ: {"<", ">"}, token.GTR: {">=", "<="}, token.GEQ: {">", "<"},
	token.EQL: {"!="}, token.NEQ: {"=="}, token.LAND: {"||"}, token.LOR: {"&&"},
	token.ADD: {"-"}, token.SUB: {"+"}, token.MUL: {"/"}, token.QUO: {"*"},
}

func (f *finder) binary(b *ast.BinaryExpr) {
	for _, op := range operators[b.Op] {
		f.operator(b, b.OpPos, b.Op, op)
	}
}

func (f *finder) call(c *ast.CallExpr) {
	if len(c.Args) == 0 {
		return
	}
	switch name := f.textOf(c.Fun); name {
	case "errors.Join", "cmp.Or":
		f.without(c.Args, name)
	case "fmt.Errorf":
		if lit, ok := c.Args[0].(*ast.BasicLit); ok && strings.Contains(lit.Value, "%w") {
			f.replace(lit, strings.Replace(lit.Value, "%w", "%v", 1))
		}
	case "min":
		f.callee(c, "max")
	case "max":
		f.callee(c, "min")
	case "make":
		if _, ok := c.Args[0].(*ast.ChanType); !ok {
			for _, a := range c.Args[1:] {
				f.kept[a] = true
			}
		}
	}
}

// callee calls another function.
func (f *finder) callee(c *ast.CallExpr, name string) {
	f.add(c.Fun.Pos(), c.Fun.End(), name, fmt.Sprintf("%s becomes %s", brief(f.textOf(c)), brief(name+f.text(c.Fun.End(), c.End()))))
}

// literal adds one to a number.
func (f *finder) literal(l *ast.BasicLit) {
	if n, err := strconv.ParseUint(l.Value, 0, 63); l.Kind == token.INT && err == nil && !f.kept[l] {
		f.replace(l, strconv.FormatUint(n+1, 10))
	}
}

// identifier takes the other truth, or the next constant of a group.
func (f *finder) identifier(id *ast.Ident) {
	switch other := f.sibling[id.Name]; {
	case id.Name == "true":
		f.replace(id, "false")
	case id.Name == "false":
		f.replace(id, "true")
	case other != "":
		f.replace(id, other)
	}
}

// siblings adds the constants of a file's groups to a map, each with the one behind it; the last has the first.
func siblings(file *ast.File, to map[string]string) {
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		var names []string
		for _, s := range g.Specs {
			for _, id := range s.(*ast.ValueSpec).Names {
				if id.Name != "_" {
					names = append(names, id.Name)
				}
			}
		}
		for i, name := range names {
			if len(names) > 1 {
				to[name] = names[(i+1)%len(names)]
			}
		}
	}
}
