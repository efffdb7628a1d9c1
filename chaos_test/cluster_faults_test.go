package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/faultproxy"
)

// faults are those of a cluster as a whole.
func (c *cluster) faults() []fault {
	return []fault{
		{name: "rolling restart", strike: c.rollingRestart, shows: lost},
		{name: "leader of the queue moved", quiet: true, strike: c.moveLeader},
		{name: "two of three nodes down", strike: c.killTwo, heal: c.restartTwo},
		{
			name: "cut off from one node", shows: lost,
			strike: c.away(func(p *faultproxy.Proxy) { p.Refuse(true); p.Reset() }),
			heal:   c.back(func(p *faultproxy.Proxy) { p.Refuse(false) }),
		},
		{
			name: "silence of one node", shows: lostBy(core.ErrSilent),
			strike: c.away(func(p *faultproxy.Proxy) { p.Pause(faultproxy.Both) }),
			heal:   c.back(func(p *faultproxy.Proxy) { p.Resume(faultproxy.Both) }),
		},
		{name: "leader of the queue partitioned", strike: c.isolateLeader, heal: c.reunite},
	}
}

// away breaks the links to the node that the client's connections lead to, or to one of two.
func (c *cluster) away(cut func(*faultproxy.Proxy)) func(context.Context, *load) error {
	return func(context.Context, *load) error {
		for _, b := range c.nodes {
			if b.proxy.Conns() > 0 {
				c.cut = b
				cut(b.proxy)
				return nil
			}
		}
		return errors.New("the client is connected to no node")
	}
}

// back wants messages to flow through other nodes before it heals the links.
func (c *cluster) back(heal func(*faultproxy.Proxy)) func(context.Context, *load) error {
	return func(ctx context.Context, l *load) error {
		if err := l.flow(ctx, flowMessages); err != nil {
			return fmt.Errorf("through other nodes: %w", err)
		}
		heal(c.cut.proxy)
		return nil
	}
}

// isolateLeader cuts the node that leads the main queue off from its peers, until they see it. Clients may still be
// connected to it, and get no confirm.
func (c *cluster) isolateLeader(ctx context.Context, _ *load) error {
	leader, err := c.leader(ctx)
	if err != nil {
		return err
	}
	c.cut = c.Node(leader)
	if err := c.Partition(ctx, c.cut); err != nil {
		return err
	}
	if !eventuallyEvery(ctx, commandInterval, clusterTimeout, func() bool { return c.others(ctx, c.cut) == clusterSize-1 }) {
		return errors.New("its peers do not miss it")
	}
	return nil
}

// others returns how many nodes a node other than b sees running, 0 if none answers.
func (c *cluster) others(ctx context.Context, b *broker) int {
	i := slices.IndexFunc(c.nodes, func(other *broker) bool { return other != b })
	out, err := c.nodes[i].Ctl(ctx, "eval", "length(rabbit_nodes:list_running()).")
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(out)
	return n
}

// reunite wants messages to flow through the majority before it ends the partition: clients that the isolated node has
// kept are sent away.
func (c *cluster) reunite(ctx context.Context, l *load) error {
	c.cut.proxy.Refuse(true)
	defer c.cut.proxy.Refuse(false)
	c.cut.proxy.Reset()
	if err := l.progress(ctx, flowMessages); err != nil {
		return fmt.Errorf("through the majority: %w", err)
	}
	if err := c.Heal(ctx, c.cut); err != nil {
		return err
	}
	return c.WaitRunning(ctx, clusterSize)
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

// leader returns the node that leads the main queue. The queue's members are asked: what the broker has noted of it is
// old where a leader was elected while the nodes had no majority.
func (c *cluster) leader(ctx context.Context) (string, error) {
	ask := fmt.Sprintf("{ok, _, {_, Node}} = ra:members({'%%2F_%s', node()}), Node.", mainQueue)
	return c.nodes[0].Ctl(ctx, "eval", ask)
}

// transfer is what has a member of the main queue hand the lead over to another.
func transfer(from, to string) string {
	return fmt.Sprintf("ra:transfer_leadership({'%%2F_%[1]s', '%[2]s'}, {'%%2F_%[1]s', '%[3]s'}).", mainQueue, from, to)
}

func TestALeadIsHandedToAnother(t *testing.T) {
	want := "ra:transfer_leadership({'%2F_orders.all', 'rabbit@a'}, {'%2F_orders.all', 'rabbit@b'})."
	if got := transfer("rabbit@a", "rabbit@b"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
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
	move := transfer(before, next)
	var now, out string
	moved := func() bool {
		if now, err = c.leader(ctx); err == nil && now != next {
			out, err = c.nodes[0].Ctl(ctx, "eval", move) // in vain while that node is behind
		}
		return err == nil && now == next
	}
	if !eventuallyEvery(ctx, commandInterval, clusterTimeout, moved) {
		return fmt.Errorf("the leader is %s after a transfer from %s to %s: %q, %w", now, before, next, out, err)
	}
	return nil
}

// killTwo leaves no majority: nothing may be confirmed any more, though the client has a connection to the node that is
// left and publishes wait for their verdict.
func (c *cluster) killTwo(ctx context.Context, l *load) error {
	for _, b := range c.nodes[:2] {
		if err := b.Kill(ctx); err != nil {
			return err
		}
	}
	if !eventually(ctx, clusterTimeout, func() bool { return c.nodes[2].proxy.Conns() > 0 }) {
		return errors.New("the client does not try the node that is left")
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
	l.run(t, shuffled(t, c.faults()))
}
