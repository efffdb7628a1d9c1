// Command warren shows what the library does: see "warren help".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: warren COMMAND [flags]

  demo     publish and consume while things break, and count what became of each message
  broker   serve a broker in memory, for trying things out

"warren COMMAND -h" lists the flags.
`

// These make the exit status say that a run did not keep its promise. Its
// report is printed already.
var (
	errLost     = errors.New("confirmed messages were lost")
	errPhantoms = errors.New("messages were delivered that this run did not publish")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "warren:", err)
		os.Exit(1)
	}
}

// command runs one command line.
func command(ctx context.Context, args []string, out, errOut io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(errOut, usage)
		return errors.New("a command is missing")
	}
	switch args[0] {
	case "demo":
		return runDemo(ctx, args[1:], out, errOut)
	case "broker":
		return runBroker(ctx, args[1:], out, errOut)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(out, usage)
		return nil
	default:
		fmt.Fprint(errOut, usage)
		return fmt.Errorf("unknown command %q", args[0])
	}
}
