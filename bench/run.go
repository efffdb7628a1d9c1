package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/warren-mq/warren/bench/internal/client"
	"github.com/warren-mq/warren/bench/internal/job"
	"github.com/warren-mq/warren/bench/internal/rabbitmqc"
	"github.com/warren-mq/warren/bench/internal/stats"
)

// consumed is how many messages wait in a RabbitMQ queue for each consumer that is measured.
const consumed = 40_000

// Bounds of amqp091-go's recovery, which declares one entity after another: 10,000 without delay take seconds,
// with 10 ms of round trip minutes.
const (
	peerRecovers = 5000 // queues, times round trips' milliseconds each way, plus one
	peerBudget   = 40 * time.Second
)

// suite runs scenarios.
type suite struct {
	scenarios []scenario
	clients   []string
	rounds    int
	null      string // address of the null broker
	rabbit    *rabbit
	rabbitmqC *rabbitmqc.Client
	out       func(format string, args ...any)
}

// outcome is what all rounds of one scenario gave, by client.
type outcome struct {
	scenario
	results map[string][]job.Result
	alone   *outcome // the scenario that the target names, if it was measured
}

// run measures round by round; within a round each scenario's clients come one after the other, in an order
// that turns from round to round. A recovery repeats by itself, and has a round of its own.
func (s *suite) run(ctx context.Context) []outcome {
	outcomes := make([]outcome, len(s.scenarios))
	for i, sc := range s.scenarios {
		outcomes[i] = outcome{scenario: sc, results: map[string][]job.Result{}}
	}
	recovers := func(o outcome) bool { return o.group == groupRecover }
	for round := range s.rounds {
		for _, o := range outcomes {
			if !recovers(o) {
				s.runScenario(ctx, o, round)
			}
		}
	}
	for _, o := range outcomes {
		if recovers(o) {
			s.runScenario(ctx, o, 0)
		}
	}
	compareAlone(outcomes)
	return outcomes
}

// runScenario measures each client once.
func (s *suite) runScenario(ctx context.Context, o outcome, round int) {
	for _, name := range s.turn(o.scenario, round) {
		if ctx.Err() != nil {
			return
		}
		r, err := s.measure(ctx, o.scenario, name)
		if err != nil || r.Err != "" {
			fmt.Fprintf(os.Stderr, "%s, %s: %v %s\n", o.name, name, err, r.Err)
			r = job.Result{Hung: r.Hung, Messages: r.Messages}
		}
		s.out("round %d/%d  %s\n", round+1, s.rounds, describe(o.scenario, name, r))
		o.results[name] = append(o.results[name], r)
	}
}

// compareAlone gives each outcome the one that its share is of.
func compareAlone(outcomes []outcome) {
	for i := range outcomes {
		for _, o := range outcomes {
			if outcomes[i].target.of == o.name {
				outcomes[i].alone = &o
			}
		}
	}
}

// turn returns the clients of a scenario in the order of a round.
func (s *suite) turn(sc scenario, round int) []string {
	var names []string
	for _, name := range s.clients {
		if s.does(name, sc.job) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	k := round % len(names)
	return slices.Concat(names[k:], names[:k])
}

func (s *suite) does(name string, j job.Job) bool {
	switch name {
	case rabbitmqc.Name:
		return s.rabbitmqC.Does(j)
	case client.Raw:
		return j.Goroutines <= 1 && j.Channels <= 1 && !j.Slow &&
			(j.Kind == job.Publish || j.Kind == job.Confirm || j.Kind == job.Consume || j.Kind == job.Return)
	case client.Peer:
		return j.Kind != job.Recover || j.Queues*int(1+j.Delay/time.Millisecond) <= peerRecovers
	}
	return true
}

func (s *suite) measure(ctx context.Context, sc scenario, name string) (job.Result, error) {
	j := sc.job
	j.Client, j.Addr = name, s.null
	if sc.group == groupRecover { // on a broker that nobody has left anything on
		if err := s.rabbit.replace(ctx); err != nil {
			return job.Result{}, err
		}
	}
	if sc.group.broker() == "rabbitmq" {
		j.Addr = s.rabbit.broker.Addr()
		if j.Kind == job.Consume {
			j.Messages = consumed
		}
	}
	if sc.group == groupRabbit {
		if err := s.rabbit.prepare(ctx, j); err != nil {
			return job.Result{}, err
		}
	}
	if name == rabbitmqc.Name {
		return s.rabbitmqC.Run(ctx, j)
	}
	if name == client.Peer {
		j.Budget = min(j.Budget, peerBudget)
	}
	return startClient(ctx, j)
}

// median returns the median over the rounds of what f takes from a result, 0 if the client was not measured.
func (o outcome) median(name string, f func(job.Result) float64) float64 {
	return stats.Median(o.series(name, f))
}

// ratio returns the median of the rounds' ratios.
func (o outcome) ratio(a, b string, f func(job.Result) float64) float64 {
	return stats.Ratio(o.series(a, f), o.series(b, f))
}

func (o outcome) series(name string, f func(job.Result) float64) []float64 {
	var values []float64
	for _, r := range o.results[name] {
		values = append(values, f(r))
	}
	return values
}

func describe(sc scenario, name string, r job.Result) string {
	if sc.group == groupRecover {
		return fmt.Sprintf("%-70s %-11s median %s of %d, max %s, CPU %s, from the dial %s", sc.name, name, r.P50, r.Messages, r.Max, r.RecoverCPU, r.Attempt)
	}
	return fmt.Sprintf("%-70s %-11s %10.0f/s  %8.2f µs CPU", sc.name, name, r.Rate(), r.CPUPerMessage())
}
