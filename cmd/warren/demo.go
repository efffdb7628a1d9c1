package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/warren-mq/warren/internal/demo"
	"github.com/warren-mq/warren/internal/ledger"
)

// runDemo is "warren demo".
func runDemo(ctx context.Context, args []string, out, errOut io.Writer) error {
	cfg := demo.Defaults()
	cfg.Out = out
	flags := flag.NewFlagSet("warren demo", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&cfg.URL, "url", "", "use the broker at this `url`, amqp://user:password@host:port/vhost, which is never killed")
	flags.BoolVar(&cfg.Docker, "docker", false, "run RabbitMQ in a container instead of a broker in memory")
	flags.IntVar(&cfg.N, "n", cfg.N, "`messages` to publish")
	flags.IntVar(&cfg.Size, "size", cfg.Size, "`bytes` of each message")
	flags.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "`number` that the times of the faults are drawn from")
	flags.StringVar(&cfg.Queue, "queue", cfg.Queue, "`name` of the queue and of the exchange")
	faults := flags.String("faults", cfg.Faults.String(), "`list` of faults and how often, or none; with -url kill is left out")
	asJSON := flags.Bool("json", false, "print the ledger as one JSON line, last")
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
	cfg.Bar = isTerminal(out)
	summary, err := demo.Run(ctx, cfg)
	return report(out, summary, err, *asJSON)
}

// report prints the ledger, if there is one, and says what was wrong.
func report(out io.Writer, s ledger.Summary, err error, asJSON bool) error {
	if s.Published > 0 {
		fmt.Fprintf(out, "\n%s\n", strings.TrimRight(s.String(), "\n"))
	}
	if asJSON {
		if encodeErr := json.NewEncoder(out).Encode(asLedger(s)); encodeErr != nil {
			return encodeErr
		}
	}
	if err == nil && !s.OK() {
		err = errLost
	}
	return err
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
	Phantoms       int     `json:"phantoms"`
	Recoveries     int     `json:"recoveries"`
	LongestOutage  float64 `json:"longest_outage"`
}

func asLedger(s ledger.Summary) jsonLedger {
	return jsonLedger{
		Published: s.Published, Confirmed: s.Confirmed, Returned: s.Returned, Nacked: s.Nacked, NotSent: s.NotSent,
		Unknown: s.Unknown, Pending: s.Pending, ConsumedUnique: s.Unique, Duplicates: s.Duplicates, Lost: s.Lost,
		Phantoms: s.Phantoms, Recoveries: s.Recoveries, LongestOutage: s.LongestOutage.Seconds(),
	}
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
