package chaos

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/warren-mq/warren/internal/docker"
)

// faults are those of a cluster as a whole.
func (c *cluster) faults() []fault {
	return []fault{
		{name: "rolling restart", strike: c.rollingRestart, shows: lost},
		{name: "leader of the queue moved", quiet: true, strike: c.moveLeader},
		{name: "two of three nodes down", strike: c.killTwo, shows: lost, heal: c.restartTwo},
	}
}

// rollingRestart stops and starts one node after the other, as an upgrade does.
func (c *cluster) rollingRestart(ctx context.Context, _ *load) error {
	for _, b := range c.nodes {
		if err := b.Stop(ctx); err != nil {
			return err
		}
		if err := b.Restart(ctx); err != nil {
			return err
		}
		if err := c.WaitRunning(ctx, clusterSize); err != nil {
			return err
		}
	}
	return nil
}

// leader returns the node that leads the main queue.
func (c *cluster) leader(ctx context.Context) (string, error) {
	out, err := c.nodes[0].Ctl(ctx, "list_queues", "--no-table-headers", "name", "leader")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if name, node, _ := strings.Cut(strings.TrimSpace(line), "\t"); name == mainQueue {
			return node, nil
		}
	}
	return "", fmt.Errorf("no queue %s in %q", mainQueue, out)
}

// moveLeader has another node lead the main queue.
func (c *cluster) moveLeader(ctx context.Context, _ *load) error {
	before, err := c.leader(ctx)
	if err != nil {
		return err
	}
	next := "rabbit@rabbit1"
	if before == next {
		next = "rabbit@rabbit2"
	}
	move := fmt.Sprintf("ra:transfer_leadership({'%%2F_%s', '%s'}, {'%%2F_%[1]s', '%s'}).", mainQueue, before, next)
	if out, err := c.nodes[0].Ctl(ctx, "eval", move); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	var now string
	if !eventually(ctx, faultTimeout, func() bool { now, err = c.leader(ctx); return err == nil && now == next }) {
		return fmt.Errorf("the leader is %s after a transfer from %s to %s: %w", now, before, next, err)
	}
	return nil
}

// killTwo leaves no majority: nothing may be confirmed any more.
func (c *cluster) killTwo(ctx context.Context, l *load) error {
	for _, b := range c.nodes[:2] {
		if err := b.Kill(ctx); err != nil {
			return err
		}
	}
	return l.stalled(ctx, l.plan.heartbeat)
}

func (c *cluster) restartTwo(ctx context.Context, _ *load) error {
	for _, b := range c.nodes[:2] {
		if err := b.Start(ctx); err != nil {
			return err
		}
	}
	for _, b := range c.nodes[:2] {
		if err := b.WaitReady(ctx); err != nil {
			return err
		}
	}
	return c.WaitRunning(ctx, clusterSize)
}

// TestClusterFaultsUnderLoad breaks a cluster of three below a client that knows all its nodes.
func TestClusterFaultsUnderLoad(t *testing.T) {
	if !long() {
		t.Skip("cluster scenarios run with make chaos")
	}
	c := startCluster(t, docker.MainVersion)
	l := startLoad(t, c.nodes[0], plan{rate: 1000, nodes: c.nodes}, c.URLs()...)
	l.run(t, c.faults())
}
