package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/warren-mq/warren/cmd/warren/internal/demo"
)

// runDemo is "warren demo".
func runDemo(ctx context.Context, args []string, out, errOut io.Writer) error {
	cfg := demo.Defaults()
	flags := flag.NewFlagSet("warren demo", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&cfg.URL, "url", "", "use the broker at this `url`, amqp://user:password@host:port/vhost, which is never killed")
	flags.BoolVar(&cfg.Docker, "docker", false, "run RabbitMQ in a container instead of a broker in memory")
	flags.IntVar(&cfg.N, "n", cfg.N, "`messages` to publish")
	flags.IntVar(&cfg.Size, "size", cfg.Size, "`bytes` of each message")
	flags.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "`number` that the order and the moments of the faults are drawn from")
	flags.StringVar(&cfg.Queue, "queue", cfg.Queue, "`name` of the queue and of the exchange")
	faults := flags.String("faults", cfg.Faults.String(), "`list` of faults and how often each strikes, spread evenly over the messages, or none:\n"+
		"kill ends the broker and starts it again (left out by default with -url),\n"+
		"reset cuts every connection, soft makes the broker close the publisher's channel")
	asJSON := flags.Bool("json", false, "print the ledger as one JSON line, and everything else on stderr")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("demo: unexpected argument %q", flags.Arg(0))
	}
	var err error
	if cfg.Faults, err = demo.ParseFaults(*faults); err != nil {
		return err
	}
	if cfg.URL != "" && !given(flags, "faults") {
		delete(cfg.Faults, demo.Kill)
	}
	cfg.Out = out
	if *asJSON {
		cfg.Out = errOut
	}
	cfg.Bar = isTerminal(cfg.Out)
	result, err := demo.Run(ctx, cfg)
	return report(cfg.Out, out, result, err, *asJSON)
}

// report prints the ledger for people to text, and as JSON to data if that was
// asked for, unless the run never began. It returns what was wrong.
func report(text, data io.Writer, r demo.Result, err error, asJSON bool) error {
	if r.Published > 0 {
		fmt.Fprintf(text, "\n%s\n", strings.TrimRight(r.String(), "\n"))
		if asJSON {
			if encodeErr := json.NewEncoder(data).Encode(asLedger(r, err)); encodeErr != nil {
				return encodeErr
			}
		}
	}
	switch {
	case err != nil:
		return err
	case r.Lost > 0:
		return errLost
	case r.Phantoms > 0:
		return errPhantoms
	default:
		return nil
	}
}

// jsonLedger is the ledger as "-json" prints it; durations are seconds.
type jsonLedger struct {
	Published      int     `json:"published"`
	Confirmed      int     `json:"confirmed"`
	Returned       int     `json:"returned"`
	Nacked         int     `json:"nacked"`
	NotSent        int     `json:"not_sent"`
	Unknown        int     `json:"unknown"`
	Pending        int     `json:"pending"`
	ConsumedUnique int     `json:"consumed_unique"`
	Duplicates     int     `json:"duplicates"`
	Lost           int     `json:"lost"`
	NotConsumed    int     `json:"not_consumed"` // of a run cut short
	Phantoms       int     `json:"phantoms"`
	Recoveries     int     `json:"recoveries"`
	LongestOutage  float64 `json:"longest_outage"`
	Error          string  `json:"error,omitempty"` // why the run was cut short
}

func asLedger(r demo.Result, err error) jsonLedger {
	l := jsonLedger{
		Published: r.Published, Confirmed: r.Confirmed, Returned: r.Returned, Nacked: r.Nacked, NotSent: r.NotSent,
		Unknown: r.Unknown, Pending: r.Pending, ConsumedUnique: r.Unique, Duplicates: r.Duplicates, Lost: r.Lost,
		NotConsumed: r.NotConsumed, Phantoms: r.Phantoms, Recoveries: r.Recoveries, LongestOutage: r.LongestOutage.Seconds(),
	}
	if err != nil {
		l.Error = err.Error()
	}
	return l
}

func given(flags *flag.FlagSet, name string) bool {
	found := false
	flags.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// isTerminal reports whether w is a terminal, on which a bar can be redrawn.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
