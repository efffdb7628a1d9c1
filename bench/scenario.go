package main

import (
	"fmt"
	"time"

	"github.com/warren-mq/warren/bench/internal/job"
)

// scenario is one line of the report: a job that several clients do.
type scenario struct {
	name   string
	group  group
	job    job.Job
	target target
}

// group is the table that a scenario belongs to.
type group string

const (
	groupNull    group = "null"    // one connection, one channel, against the null broker
	groupSharing group = "sharing" // many goroutines or channels on one connection
	groupLatency group = "latency"
	groupRabbit  group = "rabbitmq"
	groupRecover group = "recovery" // RabbitMQ behind a proxy
)

// target is what the design promises, as ratios to amqp091-go in the same run. Zero: nothing.
type target struct {
	ratio     float64 // messages per second
	rabbitmqC bool    // also at least rabbitmq-c
	allocs    float64 // most allocations per message; negative: none at all
	ceiling   float64 // share of the raw client's messages per second
	cpu       float64 // most client CPU per message
	within    time.Duration
	attempt   time.Duration // the same, from the dial that succeeded
	of        string        // at least the messages per second of this scenario
}

// broker says where a scenario's messages go.
func (g group) broker() string {
	if g == groupRabbit || g == groupRecover {
		return "rabbitmq"
	}
	return "null"
}

const (
	publishQueue = "bench"
	window       = 1000
	prefetch     = 1000
)

// stallDuration is the least time for 100 MiB messages to get through.
const stallDuration = 3 * time.Second

func blast(size int) string { return fmt.Sprint("blast.", size) }

// scenarios returns every scenario, with jobs of duration d.
func scenarios(d time.Duration) []scenario {
	all := append(nullScenarios(), sharingScenarios()...)
	all = append(all, latencyScenarios()...)
	all = append(all, rabbitScenarios()...)
	all = append(all, recoverScenarios()...)
	for i := range all {
		all[i].job.Duration = d
		if all[i].job.Kind == job.Stall {
			all[i].job.Duration = max(d, stallDuration) // for some of the big messages to get through
		}
	}
	return all
}

func nullScenarios() []scenario {
	publish := func(size int, t target) scenario {
		return scenario{"publish " + bytes(size), groupNull, job.Job{Kind: job.Publish, Queue: publishQueue, Size: size}, t}
	}
	consume := func(size, prefetch int, t target) scenario {
		name := fmt.Sprintf("consume %s, automatic ack", bytes(size))
		if prefetch > 0 {
			name = fmt.Sprintf("consume %s, manual ack, prefetch %d", bytes(size), prefetch)
		}
		return scenario{name, groupNull, job.Job{Kind: job.Consume, Queue: blast(size), Size: size, Prefetch: prefetch}, t}
	}
	released := func(sc scenario) scenario {
		sc.name += ", released"
		sc.job.Release = true
		return sc
	}
	return []scenario{
		publish(16, target{ratio: 15, allocs: -1}),
		publish(1<<10, target{ratio: 8, allocs: -1}),
		{"publish 16 B, confirms, window 1000", groupNull, job.Job{Kind: job.Confirm, Queue: publishQueue, Size: 16, Window: window}, target{ratio: 12}},
		consume(16, 0, target{ratio: 6, rabbitmqC: true, allocs: 2}),
		released(consume(16, 0, target{ratio: 6, rabbitmqC: true, allocs: -1})),
		consume(16, prefetch, target{ratio: 12, allocs: 2}),
		consume(1<<10, prefetch, target{ratio: 8, allocs: 2}),
		released(consume(1<<10, prefetch, target{ratio: 8, allocs: -1})),
		publish(64<<10, target{ratio: 2}),
		consume(64<<10, 0, target{ratio: 5}),
		released(consume(64<<10, 0, target{ratio: 5})),
	}
}

func sharingScenarios() []scenario {
	var all []scenario
	onePublisher, oneConsumer := "publish 16 B, one goroutine on one channel", "consume 16 B, manual ack, one channel with a consumer"
	than := func(alone string, n int) target {
		if n == 1 {
			return target{}
		}
		return target{of: alone}
	}
	for _, n := range []int{1, 8, 64} {
		name := onePublisher
		if n > 1 {
			name = fmt.Sprintf("publish 16 B, %d goroutines on one channel", n)
		}
		all = append(all, scenario{name, groupSharing,
			job.Job{Kind: job.Publish, Queue: publishQueue, Size: 16, Goroutines: n}, than(onePublisher, n)})
	}
	for _, n := range []int{8, 64} {
		all = append(all, scenario{fmt.Sprintf("publish 16 B, %d channels with a goroutine each", n), groupSharing,
			job.Job{Kind: job.Publish, Queue: publishQueue, Size: 16, Goroutines: n, Channels: n}, than(onePublisher, n)})
	}
	for _, n := range []int{1, 8, 64} {
		name := oneConsumer
		if n > 1 {
			name = fmt.Sprintf("consume 16 B, manual ack, %d channels with a consumer each", n)
		}
		all = append(all, scenario{name, groupSharing,
			job.Job{Kind: job.Consume, Queue: blast(16), Size: 16, Prefetch: prefetch, Goroutines: n, Channels: n}, than(oneConsumer, n)})
	}
	return append(all, scenario{"consume 16 B, manual ack, beside a consumer that takes 10 ms a message", groupSharing,
		job.Job{Kind: job.Consume, Queue: blast(16), Size: 16, Prefetch: prefetch, Slow: true}, target{}})
}

func latencyScenarios() []scenario {
	return []scenario{
		{"one publish at a time, its confirm awaited", groupLatency, job.Job{Kind: job.Latency, Queue: publishQueue, Size: 16}, target{}},
		{"the same, beside 100 MiB messages on another channel", groupLatency,
			job.Job{Kind: job.Stall, Queue: publishQueue, Size: 16, Big: 100 << 20}, target{}},
	}
}

// rabbitScenarios are for queues "classic" and "quorum", see [rabbit].
func rabbitScenarios() []scenario {
	var all []scenario
	add := func(name string, t target, j job.Job) {
		j.Persistent = true
		all = append(all, scenario{fmt.Sprintf("%s, %s, %s", j.Queue, bytes(j.Size), name), groupRabbit, j, t})
	}
	for _, queue := range []string{"classic", "quorum"} {
		for _, size := range []int{16, 1 << 10} {
			add("publish", target{ratio: 1, ceiling: 0.9, cpu: 0.2}, job.Job{Kind: job.Publish, Queue: queue, Size: size})
			for _, w := range []int{1, 100, 1000} {
				add(fmt.Sprintf("confirms, window %d", w), target{ratio: 1, ceiling: 0.9, cpu: 0.2},
					job.Job{Kind: job.Confirm, Queue: queue, Size: size, Window: w})
			}
			add("consume with acks", target{ratio: 1.3, ceiling: 0.9, cpu: 0.2},
				job.Job{Kind: job.Consume, Queue: queue, Size: size, Prefetch: prefetch})
		}
	}
	return all
}

// How long recoveries of one client are repeated; a hundred need more.
const (
	recoverBudget = 2 * time.Minute
	hundredBudget = 7 * time.Minute
)

func recoverScenarios() []scenario {
	durable := func(queues int, delay, within time.Duration, repeat int) scenario {
		name := fmt.Sprintf("recovery of %d entities", 3*queues+1)
		if delay > 0 {
			name += fmt.Sprintf(", %s round trip", 2*delay)
		}
		return scenario{name, groupRecover, job.Job{Kind: job.Recover, Queues: queues, Delay: delay, Repeat: repeat, Budget: recoverBudget}, target{within: within}}
	}
	ms := time.Millisecond
	return []scenario{
		durable(33, 0, 0, 5),
		durable(300, 0, 250*ms, 5),
		durable(300, 5*ms, 300*ms, 3),
		{"recovery of 300 exclusive queues, bindings, consumers after 0.3 s", groupRecover,
			job.Job{Kind: job.Recover, Queues: 300, Exclusive: true, Outage: 300 * ms, Repeat: 100, Budget: hundredBudget}, target{within: 1300 * ms}},
		durable(3333, 0, 1500*ms, 3),
		durable(3333, 5*ms, 2000*ms, 2),
		durable(16666, 0, 0, 2),
		{"recovery of a publish after 0.3 s", groupRecover,
			job.Job{Kind: job.Return, Outage: 300 * ms, Repeat: 15, Budget: recoverBudget}, target{attempt: 10 * ms}},
	}
}

// bytes names a size.
func bytes(n int) string {
	if n >= 1<<10 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
