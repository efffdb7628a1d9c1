package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/warren-mq/warren/bench/internal/client"
	"github.com/warren-mq/warren/bench/internal/job"
	"github.com/warren-mq/warren/bench/internal/rabbitmqc"
	"github.com/warren-mq/warren/bench/internal/stats"
)

// report returns the tables of the groups that were measured, as Markdown.
func report(outcomes []outcome) string {
	var b strings.Builder
	tables := []struct {
		group  group
		title  string
		header string
		row    func(outcome) []string
	}{
		{groupNull, "Null broker, one connection, one channel",
			"scenario | Warren msg/s | amqp091-go | ratio | rabbitmq-c | raw bytes | CPU µs/msg, Warren / amqp091-go | allocs/msg | writes/1000 msg | target | met", nullRow},
		{groupLatency, "Null broker, confirms awaited one by one",
			"scenario | Warren p50 | p99 | max | amqp091-go p50 | p99 | max | CPU µs/msg", latencyRow},
		{groupSharing, "Null broker, one connection shared",
			"scenario | Warren msg/s | amqp091-go | ratio | CPU µs/msg, Warren / amqp091-go | of one alone | target | met", sharingRow},
		{groupRabbit, "RabbitMQ, one connection, one channel",
			"queue, size, work | Warren msg/s | amqp091-go | ratio | raw bytes | share of it | CPU µs/msg, Warren / amqp091-go | ratio | target | met", rabbitRow},
		{groupRecover, "RabbitMQ behind a proxy: time from the network's return until everything is back",
			"scenario | times | Warren median | max | its CPU | amqp091-go times | median | max | raw bytes | target | met", recoverRow},
	}
	for _, t := range tables {
		var rows []string
		for _, o := range outcomes {
			if o.group == t.group {
				rows = append(rows, line(t.row(o)))
			}
		}
		if len(rows) == 0 {
			continue
		}
		columns := strings.Count(t.header, "|")
		fmt.Fprintf(&b, "### %s\n\n| %s |\n|%s\n%s\n", t.title, t.header, strings.Repeat("---|", columns+1), strings.Join(rows, ""))
	}
	return b.String()
}

func line(cells []string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

func nullRow(o outcome) []string {
	return []string{
		o.name, o.rate(client.Warren), o.rate(client.Peer), o.times(), o.rate(rabbitmqc.Name), o.rate(client.Raw), o.cpu(),
		fmt.Sprintf("%s / %s", o.allocs(client.Warren), o.allocs(client.Peer)),
		fmt.Sprintf("%.2f", 1000*o.median(client.Warren, job.Result.WritesPerMessage)),
		o.target.String(), o.met(),
	}
}

func latencyRow(o outcome) []string {
	cells := []string{o.name}
	for _, name := range []string{client.Warren, client.Peer} {
		cells = append(cells,
			micros(o.median(name, func(r job.Result) float64 { return float64(r.P50.Nanoseconds()) })),
			micros(o.median(name, func(r job.Result) float64 { return float64(r.P99.Nanoseconds()) })),
			micros(o.median(name, func(r job.Result) float64 { return float64(r.Max.Nanoseconds()) })))
	}
	return append(cells, o.cpu())
}

func sharingRow(o outcome) []string {
	share := "–"
	if o.alone != nil {
		share = fmt.Sprintf("%.0f %%", 100*o.share())
	}
	return []string{o.name, o.rate(client.Warren), o.rate(client.Peer), o.times(), o.cpu(), share, o.target.String(), o.met()}
}

// share is Warren's rate as a part of its rate in the scenario that the target names, round by round.
func (o outcome) share() float64 {
	return stats.Ratio(o.series(client.Warren, job.Result.Rate), o.alone.series(client.Warren, job.Result.Rate))
}

func rabbitRow(o outcome) []string {
	share := o.ratio(client.Warren, client.Raw, job.Result.Rate)
	return []string{
		o.name, o.rate(client.Warren), o.rate(client.Peer), o.times(), o.rate(client.Raw), fmt.Sprintf("%.0f %%", 100*share),
		o.cpu(), fmt.Sprintf("%.2f", o.ratio(client.Warren, client.Peer, job.Result.CPUPerMessage)), o.target.String(), o.met(),
	}
}

func recoverRow(o outcome) []string {
	cells := []string{o.name}
	from := func(name string) string {
		return seconds(o.median(name, func(r job.Result) float64 { return r.Attempt.Seconds() })) + " from the dial"
	}
	for _, name := range []string{client.Warren, client.Peer} {
		times := func(r job.Result) float64 { return float64(r.Messages) }
		cpu := seconds(o.median(name, func(r job.Result) float64 { return r.RecoverCPU.Seconds() }))
		cells = append(cells, fmt.Sprintf("%.0f", o.median(name, times)))
		if slices.ContainsFunc(o.results[name], func(r job.Result) bool { return r.Hung }) {
			cells = append(cells, "hung", "–")
			if name == client.Warren {
				cells = append(cells, cpu)
			}
			continue
		}
		middle := seconds(o.median(name, func(r job.Result) float64 { return r.P50.Seconds() }))
		if o.job.Kind == job.Return {
			middle += ", " + from(name)
		}
		cells = append(cells, middle, seconds(o.median(name, func(r job.Result) float64 { return r.Max.Seconds() })))
		if name == client.Warren {
			cells = append(cells, cpu)
		}
	}
	ceiling := "–"
	if o.job.Kind == job.Return {
		ceiling = from(client.Raw)
	}
	return append(cells, ceiling, o.target.String(), o.met())
}

// seconds shows a time, or a dash for a client that did not get there.
func seconds(s float64) string {
	switch {
	case s == 0:
		return "–"
	case s < 0.1:
		return fmt.Sprintf("%.1f ms", 1000*s)
	}
	return fmt.Sprintf("%.2f s", s)
}

func (o outcome) rate(name string) string {
	rate := o.median(name, job.Result.Rate)
	switch {
	case rate == 0:
		return "–"
	case rate >= 1e6:
		return fmt.Sprintf("%.2f M", rate/1e6)
	case rate >= 1e5:
		return fmt.Sprintf("%.0f k", rate/1e3)
	default:
		return fmt.Sprintf("%.1f k", rate/1e3)
	}
}

func (o outcome) times() string {
	return significant(o.ratio(client.Warren, client.Peer, job.Result.Rate)) + "×"
}

func (o outcome) cpu() string {
	return fmt.Sprintf("%.2f / %.2f", o.median(client.Warren, job.Result.CPUPerMessage), o.median(client.Peer, job.Result.CPUPerMessage))
}

func (o outcome) allocs(name string) string {
	return fmt.Sprintf("%.1f", o.median(name, job.Result.AllocsPerMessage))
}

// significant shows a ratio with the digits that mean something.
func significant(ratio float64) string {
	switch {
	case ratio >= 10:
		return fmt.Sprintf("%.0f", ratio)
	case ratio >= 1:
		return fmt.Sprintf("%.1f", ratio)
	}
	return fmt.Sprintf("%.2f", ratio)
}

func micros(nanos float64) string { return fmt.Sprintf("%.0f µs", nanos/1e3) }

// String lists what is promised.
func (t target) String() string {
	var parts []string
	if t.ratio != 0 {
		parts = append(parts, fmt.Sprintf("≥ %g×", t.ratio))
	}
	if t.rabbitmqC {
		parts = append(parts, "≥ rabbitmq-c")
	}
	if t.allocs != 0 {
		parts = append(parts, fmt.Sprintf("≤ %g allocs", max(t.allocs, 0)))
	}
	if t.ceiling != 0 {
		parts = append(parts, fmt.Sprintf("≥ %.0f %% of raw", 100*t.ceiling))
	}
	if t.cpu != 0 {
		parts = append(parts, fmt.Sprintf("≤ %g× CPU", t.cpu))
	}
	if t.within != 0 {
		parts = append(parts, "≤ "+seconds(t.within.Seconds()))
	}
	if t.of != "" {
		parts = append(parts, "≥ one alone")
	}
	if t.attempt != 0 {
		parts = append(parts, "≤ "+seconds(t.attempt.Seconds())+" from the dial")
	}
	return strings.Join(parts, ", ")
}

// allocTolerance is what buffers that grow at the start add to the allocations per message.
const allocTolerance = 0.1

// shareTolerance is what two runs of the same differ by on a calm machine.
const shareTolerance = 0.95

// met returns "–" where nothing is promised, "yes", or which parts of the target are missed.
func (o outcome) met() string {
	t := o.target
	var missed []string
	miss := func(part bool, name string) {
		if part {
			missed = append(missed, name)
		}
	}
	miss(t.ratio != 0 && o.ratio(client.Warren, client.Peer, job.Result.Rate) < t.ratio, "ratio")
	miss(t.rabbitmqC && o.ratio(client.Warren, rabbitmqc.Name, job.Result.Rate) < 1 && o.median(rabbitmqc.Name, job.Result.Rate) > 0, "rabbitmq-c")
	miss(t.allocs != 0 && o.median(client.Warren, job.Result.AllocsPerMessage) > max(t.allocs, 0)+allocTolerance, "allocs")
	miss(t.ceiling != 0 && o.ratio(client.Warren, client.Raw, job.Result.Rate) < t.ceiling, "raw")
	miss(t.cpu != 0 && o.ratio(client.Warren, client.Peer, job.Result.CPUPerMessage) > t.cpu, "CPU")
	took := func(f func(job.Result) float64) time.Duration { return time.Duration(o.median(client.Warren, f) * 1e9) }
	late := func(limit, took time.Duration) bool { return limit != 0 && (took == 0 || took > limit) }
	miss(late(t.within, took(func(r job.Result) float64 { return r.P50.Seconds() })), "time")
	miss(late(t.attempt, took(func(r job.Result) float64 { return r.Attempt.Seconds() })), "time")
	miss(o.alone != nil && o.share() < shareTolerance, "alone")
	if t == (target{}) {
		return "–"
	}
	if len(missed) == 0 {
		return "yes"
	}
	return "not " + strings.Join(missed, ", ")
}
