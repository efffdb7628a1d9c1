// Command bench measures Warren beside its peers: amqp091-go, rabbitmq-c where it is installed, and a raw
// client that writes bytes encoded before and skims what it reads, as the ceiling. Each client is a process
// of its own, against a null broker in another process and against RabbitMQ in a container.
//
//	go run .                                       everything, several rounds: about half an hour
//	go run . -quick                                each scenario of the null broker once: about a minute
//	go run . -run 'consume 16' -rounds 5           some scenarios
//	go run . -document ../docs/internals/performance.md      also writes the tables there
//
// Clients alternate within a round, and what is reported is medians over the rounds and medians of the
// rounds' ratios: on a shared machine only ratios mean something.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/warren-mq/warren/bench/internal/client"
	"github.com/warren-mq/warren/bench/internal/job"
	"github.com/warren-mq/warren/bench/internal/rabbitmqc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	is, err := runRole(ctx, os.Args[1:])
	if !is {
		err = run(ctx, os.Args[1:])
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line's.
type options struct {
	rounds   int
	duration time.Duration
	only     string
	clients  string
	rabbitmq bool
	json     bool
	document string
}

func parse(args []string) (options, error) {
	var o options
	var quick bool
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 3, "rounds of every scenario")
	flags.DurationVar(&o.duration, "duration", time.Second, "of each measurement")
	flags.StringVar(&o.only, "run", "", "only scenarios whose name matches this regular expression")
	flags.StringVar(&o.clients, "clients", strings.Join([]string{client.Warren, client.Peer, rabbitmqc.Name, client.Raw}, ","), "clients to measure")
	flags.BoolVar(&o.rabbitmq, "rabbitmq", true, "measure against RabbitMQ in a container as well")
	flags.BoolVar(&o.json, "json", false, "print every result as JSON instead of tables")
	flags.StringVar(&o.document, "document", "", "write the tables into this Markdown file as well")
	flags.BoolVar(&quick, "quick", false, "one short round, without RabbitMQ")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if quick {
		o.rounds, o.duration, o.rabbitmq = 1, 700*time.Millisecond, false
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	s, end, err := newSuite(ctx, o)
	if err != nil {
		return err
	}
	defer end()
	outcomes := s.run(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.json {
		return printJSON(outcomes)
	}
	tables := report(outcomes)
	if s.rabbit != nil {
		recorder, err := recorderTable()
		if err != nil {
			return err
		}
		tables += "\n" + recorder
	}
	fmt.Println(tables)
	if o.document != "" {
		return writeDocument(o.document, tables)
	}
	return nil
}

// newSuite chooses the scenarios and starts what they need.
func newSuite(ctx context.Context, o options) (s *suite, end func(), err error) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return nil, nil, err
	}
	s = &suite{clients: strings.Split(o.clients, ","), rounds: o.rounds, out: progress(o.json)}
	wanted := map[string]bool{} // by broker
	for _, sc := range scenarios(o.duration) {
		if only.MatchString(sc.name) && (o.rabbitmq || sc.group.broker() != "rabbitmq") {
			s.scenarios = append(s.scenarios, sc)
			wanted[sc.group.broker()] = true
		}
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, nil, err
	}
	ends := []func(){func() { _ = os.RemoveAll(dir) }}
	end = func() {
		for _, f := range slices.Backward(ends) {
			f()
		}
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	if s.rabbitmqC, err = rabbitmqc.Build(ctx, dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	var stop func()
	if s.null, stop, err = startBroker(ctx); err != nil {
		return nil, nil, err
	}
	ends = append(ends, stop)
	if !wanted["rabbitmq"] {
		return s, end, nil
	}
	if s.rabbit, err = startRabbit(ctx, func(line string) { fmt.Fprintln(os.Stderr, line) }); err != nil {
		return nil, nil, fmt.Errorf("RabbitMQ (-rabbitmq=false leaves it out): %w", err)
	}
	ends = append(ends, s.rabbit.stop)
	return s, end, nil
}

// progress prints a line for each measurement, not among JSON.
func progress(json bool) func(string, ...any) {
	if json {
		return func(string, ...any) {}
	}
	return func(format string, args ...any) { fmt.Printf(format, args...) }
}

func printJSON(outcomes []outcome) error {
	type entry struct {
		Scenario string
		Group    group
		Results  map[string][]job.Result // by client, in order of rounds
	}
	var entries []entry
	for _, o := range outcomes {
		entries = append(entries, entry{o.name, o.group, o.results})
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(entries)
}
