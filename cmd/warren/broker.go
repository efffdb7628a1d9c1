package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/warren-mq/warren/brokertest"
)

// runBroker is "warren broker".
func runBroker(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := flag.NewFlagSet("warren broker", flag.ContinueOnError)
	flags.SetOutput(errOut)
	addr := flags.String("addr", "127.0.0.1:5672", "`host:port` to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("broker: unexpected argument %q", flags.Arg(0))
	}
	b := brokertest.NewBroker()
	defer b.Close()
	if err := b.Listen(*addr); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	fmt.Fprintf(out, "An AMQP 0.9.1 broker for trying things out is at %s\n", b.URL())
	fmt.Fprintln(out, "It keeps everything in memory and nothing beyond its end: no disk, no cluster. Ctrl-C ends it.")
	<-ctx.Done()
	return nil
}
