package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of go test -json, see go doc test2json; of a build, ImportPath names the package.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// test names a test; an empty name stands for its package as a whole.
type test struct{ pkg, name string }

// report counts tests, subtests among them, and shows what failed.
type report struct {
	w                       io.Writer
	passed, failed, skipped int
	output                  map[test][]string // of tests that have not ended
	failures                map[string]int    // failed tests by package
	reasons                 map[string]int    // why tests were skipped
	digests                 []string          // of failed tests that said much
}

func newReport(w io.Writer) *report {
	return &report{w: w, output: map[test][]string{}, failures: map[string]int{}, reasons: map[string]int{}}
}

// read adds the events of one go test.
func (r *report) read(in io.Reader) error {
	for decoder := json.NewDecoder(in); ; {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the output of go test: %w", err)
		}
		r.add(e)
	}
}

func (r *report) add(e event) {
	t := test{e.Package, e.Test}
	switch {
	case e.Action == "output":
		r.output[t] = append(r.output[t], e.Output)
	case e.Action == "build-output":
		fmt.Fprint(r.w, e.Output)
	case e.Test != "":
		r.endTest(t, e.Action)
	case e.Action == "pass":
		fmt.Fprintf(r.w, "ok    %6.1fs  %s\n", e.Elapsed, e.Package)
	case e.Action == "fail":
		r.failPackage(e)
	}
	if e.Test == "" && (e.Action == "pass" || e.Action == "skip" || e.Action == "fail") {
		maps.DeleteFunc(r.output, func(t test, _ []string) bool { return t.pkg == e.Package })
	}
}

// endTest counts a test; for other actions than the three ends it does nothing.
func (r *report) endTest(t test, action string) {
	switch action {
	case "pass":
		r.passed++
	case "skip":
		r.skipped++
		r.reasons[reason(r.output[t])]++
	case "fail":
		r.failed++
		r.failures[t.pkg]++
		r.show(t)
	default:
		return
	}
	delete(r.output, t)
}

// failPackage shows what no failed test has shown: a package that does not build, a panic, a timeout. A
// package that failed without a failed test counts as one.
func (r *report) failPackage(e event) {
	if r.failures[e.Package] == 0 {
		r.failed++
		for t := range r.output {
			if t.pkg == e.Package {
				r.show(t)
			}
		}
	}
	fmt.Fprintf(r.w, "FAIL  %6.1fs  %s\n", e.Elapsed, e.Package)
}

func (r *report) show(t test) {
	if t.name != "" {
		fmt.Fprintf(r.w, "--- FAIL: %s %s\n", t.pkg, t.name)
	}
	for _, line := range r.output[t] {
		if !strings.HasPrefix(line, "=== ") {
			fmt.Fprint(r.w, line)
		}
	}
	if len(r.output[t]) > digestLines {
		r.digests = append(r.digests, fmt.Sprintf("--- FAIL: %s %s, in short\n%s", t.pkg, t.name, digest(r.output[t])))
	}
}

const (
	digestLines  = 40  // of a failed test are told again at the end, where a long output hid them
	digestLength = 300 // bytes of a line
)

// digest returns the last lines that a test itself wrote, without those of logs and libraries.
func digest(output []string) string {
	var own []string
	inOwn := false
	for _, line := range output {
		if !strings.HasPrefix(line, "        ") { // else it continues the line before
			place, _, _ := strings.Cut(line, ": ")
			inOwn = strings.Contains(place, "_test.go:") || strings.HasPrefix(line, "panic:")
		}
		if inOwn {
			line = strings.TrimSuffix(line, "\n")
			own = append(own, line[:min(len(line), digestLength)]+"\n")
		}
	}
	return strings.Join(own[max(0, len(own)-digestLines):], "")
}

// finish writes what failed tests said, if it was much, why tests were skipped, and last the counts.
func (r *report) finish() {
	for _, d := range r.digests {
		fmt.Fprint(r.w, d)
	}
	for _, why := range slices.Sorted(maps.Keys(r.reasons)) {
		fmt.Fprintf(r.w, "%d skipped: %s\n", r.reasons[why], why)
	}
	fmt.Fprintf(r.w, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
}

// reason returns the message of t.Skip without its place in the source.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		if _, message, found := strings.Cut(line, "_test.go:"); found {
			_, message, _ = strings.Cut(message, ":")
			return strings.TrimSpace(message)
		}
	}
	return "no reason given"
}
