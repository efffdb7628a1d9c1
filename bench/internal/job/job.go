// Package job is what the processes of a measurement tell each other: what one client is to do, and what it
// took. Both travel as JSON.
package job

import "time"

// Kind is what a client does with its messages.
type Kind string

// The kinds of work.
const (
	Publish Kind = "publish" // without confirms; over when the broker has answered connection.close
	Confirm Kind = "confirm" // at most Window messages unconfirmed; over when all are confirmed
	Latency Kind = "latency" // one message at a time, its confirm awaited
	Consume Kind = "consume" // with Prefetch 0 automatic ack, else each delivery acked by itself
	Stall   Kind = "stall"   // confirms awaited one by one while another channel sends one message of Big bytes
	Recover Kind = "recover" // queues, bindings and consumers come back after a cut, Repeat times
	Return  Kind = "return"  // a publish waits while the network is away, Repeat times
)

// Job is one measurement of one client.
type Job struct {
	Client     string // see package client
	Kind       Kind
	Addr       string // of the broker
	Queue      string // routing key in the default exchange, and queue to consume from
	Size       int    // of a body, in bytes
	Big        int    // of the message in the way, for Stall
	Window     int
	Prefetch   int
	Goroutines int           // that publish or receive, spread over the channels; 0: 1
	Channels   int           // on one connection; 0: 1
	Slow       bool          // another channel's consumer takes 10 ms a message meanwhile
	Persistent bool          // delivery mode 2
	Release    bool          // give deliveries back when done with them, where the client can
	Queues     int           // for Recover, each with a binding and a consumer
	Exclusive  bool          // those queues are
	Delay      time.Duration // of the network each way
	Outage     time.Duration // how long the network stays away
	Repeat     int
	Budget     time.Duration // no further repetition begins after this; 0: none is left out
	Duration   time.Duration
	Messages   int64 // for Consume: stop after so many, if that comes first
}

// Result is what a job took, as the client's own process saw it.
type Result struct {
	Messages int64
	Seconds  float64
	CPU      float64       // seconds, user and system
	Allocs   float64       // heap allocations; negative: not known
	Writes   int64         // write system calls; 0: not known
	Reads    int64         // read system calls; 0: not known
	P50, P99 time.Duration // for Latency and Stall; P50 also for Recover and Return
	Max      time.Duration
	Attempt  time.Duration // for Return: median from the dial that succeeded to the confirm
	// RecoverCPU is, for Recover, the median of what the process used from a cut until all was back.
	RecoverCPU time.Duration
	Hung       bool   // for Recover and Return: in the end it did not come back, or not whole
	Err        string // why there is no result
}

// Rate returns messages per second.
func (r Result) Rate() float64 { return r.per(r.Seconds) }

func (r Result) per(seconds float64) float64 {
	if seconds == 0 {
		return 0
	}
	return float64(r.Messages) / seconds
}

// CPUPerMessage returns microseconds.
func (r Result) CPUPerMessage() float64 { return r.each(r.CPU * 1e6) }

// AllocsPerMessage returns a negative number when it is not known.
func (r Result) AllocsPerMessage() float64 { return r.each(r.Allocs) }

// WritesPerMessage returns write system calls per message.
func (r Result) WritesPerMessage() float64 { return r.each(float64(r.Writes)) }

func (r Result) each(total float64) float64 {
	if r.Messages == 0 {
		return 0
	}
	return total / float64(r.Messages)
}
