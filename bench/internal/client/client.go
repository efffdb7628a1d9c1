// Package client holds the clients that are measured. Each does the same jobs, in the way that its own
// documentation shows.
package client

import (
	"context"
	"fmt"

	"github.com/warren-mq/warren/bench/internal/job"
)

// The clients of this package. Raw is none: it writes bytes encoded before and skims what it reads, so it
// shows what socket and broker can do.
const (
	Warren = "warren"
	Peer   = "amqp091-go"
	Raw    = "raw"
)

// Run does a job.
func Run(ctx context.Context, j job.Job) (job.Result, error) {
	j.Goroutines, j.Channels = max(j.Goroutines, 1), max(j.Channels, 1)
	type work func(context.Context, job.Job) (job.Result, error)
	works := map[string]map[job.Kind]work{
		Warren: {job.Publish: warrenPublish, job.Confirm: warrenPublish, job.Latency: warrenLatency, job.Consume: warrenConsume, job.Stall: warrenStall,
			job.Recover: recoverWith(newWarrenLink), job.Return: returnWith(newWarrenLink)},
		Peer: {job.Publish: peerPublish, job.Confirm: peerConfirm, job.Latency: peerLatency, job.Consume: peerConsume, job.Stall: peerStall,
			job.Recover: recoverWith(newPeerLink), job.Return: returnWith(newPeerLink)},
		Raw: {job.Publish: rawPublish, job.Confirm: rawConfirm, job.Consume: rawConsume, job.Return: rawReturn},
	}
	f := works[j.Client][j.Kind]
	if f == nil {
		return job.Result{}, fmt.Errorf("client %q does no %q", j.Client, j.Kind)
	}
	return f(ctx, j)
}

// stride is how many messages pass between two looks at the clock.
func stride(size int) int { return max(1, min(64, 64<<10/max(size, 1))) }

// deliveryMode returns the property for a job's messages.
func deliveryMode(j job.Job) uint8 {
	if j.Persistent {
		return 2
	}
	return 0
}
