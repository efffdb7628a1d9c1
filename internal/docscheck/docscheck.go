// Package docscheck keeps the documentation true: every test and function that a page names must exist, and every
// file that it links to; the code of the users' pages compiles, and their list of errors is complete.
//
// A page names a test as a link to the folder of its package: [`TestName`](../core), or with one of its
// subtests, [`TestName/some words`](../core). It names a function as a link to its file: [`Type.Method`](../core/conn.go).
package docscheck

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	link     = regexp.MustCompile(`\[([^\]]+)\]\(([^)\s]+)\)`)
	testName = regexp.MustCompile("^`((?:Test|Fuzz|Example)[A-Z]\\w*)(?:/([^`]+))?`$")
	funcName = regexp.MustCompile("^`(?:(\\w+)\\.)?(\\w+)`$")
	testSpan = regexp.MustCompile("`(?:Test|Fuzz)[A-Z]\\w*(?:/[^`]+)?`")
)

// Checker checks pages. It reads the tests of each package once; the zero value is ready.
type Checker struct {
	sources map[string]string // by folder
}

// Check returns one line for each thing wrong with a page of the project.
func (c *Checker) Check(page string) ([]string, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	var problems []string
	for i, line := range strings.Split(withoutCode(string(text)), "\n") {
		for _, problem := range c.checkLine(filepath.Dir(page), line) {
			problems = append(problems, fmt.Sprintf("%s:%d: %s", page, i+1, problem))
		}
	}
	return problems, nil
}

// checkLine checks the links of a line, and that it names no test without one.
func (c *Checker) checkLine(dir, line string) []string {
	var problems []string
	for _, m := range link.FindAllStringSubmatch(line, -1) {
		if problem := c.checkLink(dir, m[1], m[2]); problem != "" {
			problems = append(problems, problem)
		}
	}
	for _, span := range testSpan.FindAllString(link.ReplaceAllString(line, ""), -1) {
		problems = append(problems, fmt.Sprintf("%s is no link to its package: write [%s](folder)", span, span))
	}
	return problems
}

// checkLink returns what is wrong with a link of a page in dir, or nothing.
func (c *Checker) checkLink(dir, text, target string) string {
	target, _, _ = strings.Cut(target, "#")
	if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return ""
	}
	path := filepath.Join(dir, target)
	if _, err := os.Stat(path); err != nil {
		return fmt.Sprintf("link to %s, which does not exist", target)
	}
	if m := funcName.FindStringSubmatch(text); m != nil && strings.HasSuffix(target, ".go") {
		return c.checkFunction(path, target, m[1], m[2])
	}
	m := testName.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	source, err := c.tests(path)
	switch {
	case err != nil:
		return err.Error()
	case !declares(source, m[1]):
		return fmt.Sprintf("%s has no test %s", target, m[1])
	case m[2] != "" && !strings.Contains(source, `"`+m[2]+`"`):
		return fmt.Sprintf("%s has no subtest named %q", target, m[2])
	}
	return ""
}

// checkFunction returns what is wrong with a link to a function, or to a method of a type, in a file.
func (c *Checker) checkFunction(path, target, receiver, name string) string {
	source, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	declaration := `(?m)^func ` + name + `[(\[]`
	if receiver != "" {
		declaration = `(?m)^func \(\w+ \*?` + receiver + `\) ` + name + `\(`
		name = receiver + "." + name
	}
	if !regexp.MustCompile(declaration).Match(source) {
		return fmt.Sprintf("%s has no function %s", target, name)
	}
	return ""
}

// tests returns the source of the tests of a package's folder.
func (c *Checker) tests(folder string) (string, error) {
	if source, ok := c.sources[folder]; ok {
		return source, nil
	}
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		all.Write(text)
	}
	if c.sources == nil {
		c.sources = map[string]string{}
	}
	c.sources[folder] = all.String()
	return all.String(), nil
}

// declares reports whether source has a test of that name.
func declares(source, name string) bool {
	return strings.HasPrefix(source, "func "+name+"(") || strings.Contains(source, "\nfunc "+name+"(")
}

// withoutCode blanks the lines of fenced code blocks, which link to nothing.
func withoutCode(text string) string {
	lines := strings.Split(text, "\n")
	fenced := false
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if fence {
			fenced = !fenced
		}
		if fenced || fence {
			lines[i] = ""
		}
	}
	return strings.Join(lines, "\n")
}
