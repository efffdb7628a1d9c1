// Command mutants shows what the tests do not notice: it makes small wrong changes, one at a time, each of
// which a maintainer could make, and runs the quick tests of the packages that they concern. The source is
// left alone: a changed file reaches the compiler by -overlay, so several changes are tried side by side.
//
//	go run ./internal/mutants -seed 7 -count 40 ./core ./internal/session
//
// It prints the changes that passed unnoticed and the share of those that were noticed. What does not compile
// is not counted. A change that alters nothing that matters counts as unnoticed: no tool can tell.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"time"
)

// options say which changes are tried and how.
type options struct {
	dir      string // of the module
	patterns []string
	seed     uint64        // of the sample
	count    int           // changes to try
	bound    time.Duration // no further change is begun after this
	timeout  time.Duration // of the tests of one package
	workers  int
	verbose  bool // print what was noticed too
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o := options{dir: "."}
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "seed of the sample")
	flag.IntVar(&o.count, "count", 100, "how many changes to try")
	flag.DurationVar(&o.bound, "for", 20*time.Minute, "begin no further change after this `time`")
	flag.DurationVar(&o.timeout, "timeout", 90*time.Second, "limit of the tests of one package")
	flag.IntVar(&o.workers, "workers", max(1, runtime.NumCPU()/2), "changes tried side by side")
	flag.BoolVar(&o.verbose, "v", false, "print what was noticed too, and by which test")
	flag.Parse()
	if o.patterns = flag.Args(); len(o.patterns) == 0 {
		o.patterns = []string{"."}
	}
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// run tries a sample of the changes of the packages and reports on w.
func run(ctx context.Context, o options, w io.Writer) error {
	if o.count < 1 || o.workers < 1 {
		return fmt.Errorf("count %d and workers %d must be at least 1", o.count, o.workers)
	}
	m, err := load(ctx, o.dir, o.patterns)
	if err != nil {
		return err
	}
	changes, err := m.changes()
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		return fmt.Errorf("nothing to change in %q", o.patterns)
	}
	fmt.Fprintf(w, "seed %d: %d of %d changes\n", o.seed, min(o.count, len(changes)), len(changes))
	tmp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	t := trial{module: m, timeout: o.timeout, tmp: tmp}
	if err := t.unchanged(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.bound)
	defer cancel()
	return t.tryAll(ctx, shuffled(changes, o.seed), o, w)
}
