package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	tests := []struct {
		name, events string
		want         []string // parts of what is written
		not          []string
		counts       string
	}{
		{
			name: "a passing test shows nothing of its own",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
				{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
				{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}
				{"Action":"output","Package":"p","Output":"PASS\n"}
				{"Action":"pass","Package":"p","Elapsed":1.25}`,
			want: []string{"ok       1.2s  p\n"}, not: []string{"noise", "PASS"}, counts: "1 passed, 0 failed, 0 skipped\n",
		},
		{
			name: "a failing test shows its output once",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
				{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: broken\n"}
				{"Action":"fail","Package":"p","Test":"TestA"}
				{"Action":"output","Package":"p","Output":"FAIL\n"}
				{"Action":"fail","Package":"p","Elapsed":2}`,
			want: []string{"--- FAIL: p TestA\n    a_test.go:1: broken\n", "FAIL     2.0s  p\n"}, not: []string{"=== RUN"},
			counts: "0 passed, 1 failed, 0 skipped\n",
		},
		{
			name: "a package that does not build is a failure",
			events: `{"Action":"build-output","ImportPath":"p","Output":"p.go:1: undefined: x\n"}
				{"Action":"build-fail","ImportPath":"p"}
				{"Action":"output","Package":"p","Output":"FAIL p [build failed]\n"}
				{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			want: []string{"p.go:1: undefined: x\n", "[build failed]"}, counts: "0 passed, 1 failed, 0 skipped\n",
		},
		{
			name: "a package that dies shows the tests that had not ended",
			events: `{"Action":"pass","Package":"p","Test":"TestA"}
				{"Action":"output","Package":"p","Test":"TestB","Output":"panic: test timed out\n"}
				{"Action":"fail","Package":"p"}`,
			want: []string{"--- FAIL: p TestB\npanic: test timed out\n"}, counts: "1 passed, 1 failed, 0 skipped\n",
		},
		{
			name: "skips are counted by reason",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:7: no engine\n"}
				{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
				{"Action":"skip","Package":"p","Test":"TestA"}
				{"Action":"output","Package":"p","Test":"TestB","Output":"    a_test.go:9: no engine\n"}
				{"Action":"skip","Package":"p","Test":"TestB"}
				{"Action":"skip","Package":"p","Test":"TestC"}
				{"Action":"skip","Package":"empty"}`,
			want: []string{"2 skipped: no engine\n", "1 skipped: no reason given\n"}, counts: "0 passed, 0 failed, 3 skipped\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out)
			if err := r.read(strings.NewReader(tt.events)); err != nil {
				t.Fatal(err)
			}
			r.finish()
			for _, part := range tt.want {
				if strings.Count(out.String(), part) != 1 {
					t.Errorf("%q is not there once in\n%s", part, &out)
				}
			}
			for _, part := range tt.not {
				if strings.Contains(out.String(), part) {
					t.Errorf("%q is in\n%s", part, &out)
				}
			}
			if !strings.HasSuffix(out.String(), tt.counts) {
				t.Errorf("last line is not %q in\n%s", tt.counts, &out)
			}
		})
	}
}

func TestOutputThatIsNoEventIsAnError(t *testing.T) {
	if err := newReport(new(strings.Builder)).read(strings.NewReader("go: no such tool")); err == nil {
		t.Error("no error")
	}
}

// A long log does not hide why a test failed: its own lines come again before the counts.
func TestReportTellsLongFailuresAgain(t *testing.T) {
	var b strings.Builder
	r := newReport(&b)
	failing := test{"p", "TestA"}
	r.add(event{Action: "output", Package: "p", Test: "TestA", Output: "    a_test.go:1: broken\n"})
	r.add(event{Action: "output", Package: "p", Test: "TestA", Output: "        in two places\n"})
	for range digestLines {
		r.add(event{Action: "output", Package: "p", Test: "TestA", Output: "    logger.go:146: noise\n"})
		r.add(event{Action: "output", Package: "p", Test: "TestA", Output: "        more noise\n"})
	}
	r.endTest(failing, "fail")
	b.Reset()
	r.finish()
	want := "--- FAIL: p TestA, in short\n    a_test.go:1: broken\n        in two places\n0 passed, 1 failed, 0 skipped\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
