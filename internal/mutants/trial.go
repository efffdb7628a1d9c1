package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// trial runs tests against changed source.
type trial struct {
	*module
	timeout time.Duration
	tmp     string
}

// verdict is what became of a change.
type verdict int

const (
	unknown verdict = iota // time was over
	invalid                // does not compile
	noticed                // a test failed
	unnoticed
)

type result struct {
	change
	verdict
	by string // the tests that noticed it
}

// unchanged fails if a test does even without a change: then nothing could be told. It compiles, besides, what
// all trials share. A test that fails in a busy moment gets a second chance.
func (t trial) unchanged(ctx context.Context) error {
	var pkgs []string
	for _, p := range t.chosen {
		pkgs = append(pkgs, slices.Concat(t.testers(p)...)...)
	}
	slices.Sort(pkgs)
	if pkgs = slices.Compact(pkgs); len(pkgs) == 0 {
		return fmt.Errorf("no package tests any of them")
	}
	out, err := t.goTest(ctx, "", pkgs)
	if err != nil {
		out, err = t.goTest(ctx, "", pkgs)
	}
	if err != nil {
		return fmt.Errorf("without a change: %w\n%s", err, out)
	}
	return nil
}

// tryAll tries the first changes of a list that compile, until count were tried or ctx ends, and reports.
func (t trial) tryAll(ctx context.Context, changes []change, o options, w io.Writer) error {
	next, results := make(chan change), make(chan result)
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	go func() {
		defer close(next)
		for _, c := range changes {
			select {
			case next <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	var workers sync.WaitGroup
	for i := range o.workers {
		workers.Go(func() {
			for c := range next {
				results <- t.try(ctx, i, c)
			}
		})
	}
	go func() {
		workers.Wait()
		close(results)
	}()
	tried := make(map[verdict]int)
	for r := range results {
		if tried[noticed]+tried[unnoticed] == o.count {
			continue // was under way when the last one ended
		}
		tried[r.verdict]++
		switch {
		case r.verdict == unnoticed:
			fmt.Fprintf(w, "UNNOTICED %s\n", r.change)
		case r.verdict == noticed && o.verbose:
			fmt.Fprintf(w, "noticed   %s (%s)\n", r.change, r.by)
		}
		if tried[noticed]+tried[unnoticed] == o.count {
			enough()
		}
	}
	return summary(w, tried, o)
}

func summary(w io.Writer, tried map[verdict]int, o options) error {
	n := tried[noticed] + tried[unnoticed]
	if n == 0 {
		return fmt.Errorf("no change was tried within %v; %d did not compile", o.bound, tried[invalid])
	}
	fmt.Fprintf(w, "%d of %d changes noticed: %.0f %% (%d did not compile)\n", tried[noticed], n, 100*float64(tried[noticed])/float64(n), tried[invalid])
	if n < o.count {
		fmt.Fprintf(w, "fewer than the %d asked for: no more within %v\n", o.count, o.bound)
	}
	return nil
}

// try builds a change and runs the tests that it concerns.
func (t trial) try(ctx context.Context, worker int, c change) (r result) {
	r = result{change: c}
	overlay, err := t.overlay(worker, c)
	if err != nil {
		r.by = err.Error()
		return r
	}
	if _, err := t.goTool(ctx, "build", "-overlay="+overlay, c.pkg.ImportPath); err != nil {
		if ctx.Err() == nil {
			r.verdict = invalid
		}
		return r
	}
	for _, pkgs := range t.testers(c.pkg) {
		out, err := t.goTest(ctx, overlay, pkgs)
		if ctx.Err() != nil {
			return r
		}
		if err != nil {
			r.verdict, r.by = noticed, failures(out)
			return r
		}
	}
	r.verdict = unnoticed
	return r
}

// overlay writes the changed file and what tells the compiler to take it.
func (t trial) overlay(worker int, c change) (string, error) {
	path := filepath.Join(t.dir, c.file)
	src, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(t.tmp, fmt.Sprintf("%d.go", worker))
	if err := os.WriteFile(changed, c.apply(src), 0o600); err != nil {
		return "", err
	}
	data, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", err
	}
	name := filepath.Join(t.tmp, fmt.Sprintf("%d.json", worker))
	return name, os.WriteFile(name, data, 0o600)
}

// goTest runs the quick tests of packages. A loop that a change makes endless must not take all memory.
func (t trial) goTest(ctx context.Context, overlay string, pkgs []string) ([]byte, error) {
	args := []string{"-short", "-failfast", "-vet=off", "-timeout=" + t.timeout.String()}
	if overlay != "" {
		args = append(args, "-overlay="+overlay)
	}
	if runtime.GOOS != "windows" {
		args = append(args, `-exec=sh -c 'ulimit -v 6000000; exec "$0" "$@"'`)
	}
	return t.goTool(ctx, "test", append(args, pkgs...)...)
}

// goTool runs the go command without a container engine.
func (t trial) goTool(ctx context.Context, verb string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{verb}, args...)...)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix:///nonexistent", "WARREN_REQUIRE_DOCKER=", "GOFLAGS=")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	return cmd.CombinedOutput()
}

var (
	failed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	broken = regexp.MustCompile(`(?m)^(panic|fatal error): .*$`)
)

// failures returns which tests failed, or what ended them all.
func failures(out []byte) string {
	var names []string
	for _, m := range failed.FindAllSubmatch(out, -1) {
		names = append(names, string(m[1]))
	}
	if len(names) == 0 {
		if m := broken.Find(out); m != nil {
			return string(m)
		}
		return string(bytes.TrimSpace(out))
	}
	return strings.Join(names, ", ")
}
