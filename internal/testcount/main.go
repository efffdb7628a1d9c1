// Command testcount runs every test of the project and counts them: unit tests first, then the packages
// whose tests need a real broker, one at a time. It passes its arguments on to go test, shows the output of
// the tests that failed, and ends with one line of counts. Its exit status is 1 if anything failed.
//
//	go run ./internal/testcount -race -shuffle=on -count=1
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := testAll(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testcount:", err)
		os.Exit(1)
	}
}

// testAll runs the phases of the project in the current directory.
func testAll(ctx context.Context, flags []string) error {
	phases, err := plan(ctx, ".")
	if err != nil {
		return err
	}
	r := newReport(os.Stdout)
	for _, p := range phases {
		fmt.Printf("== %s\n", p)
		if err := p.test(ctx, flags, r); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	r.finish()
	if r.failed > 0 {
		return fmt.Errorf("tests failed")
	}
	return nil
}

// test runs one go test. A failing test is the report's business and no error; a command that fails for
// another reason is.
func (p phase) test(ctx context.Context, flags []string, r *report) error {
	args := append([]string{"test", "-json"}, flags...)
	if p.brokers {
		args = append(args, "-p=1")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, p.packages...)...)
	cmd.Dir, cmd.Stderr = p.dir, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failed := r.failed
	readErr := r.read(out)
	if err := cmd.Wait(); err != nil && r.failed == failed {
		return err
	}
	return readErr
}
