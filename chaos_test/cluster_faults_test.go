package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/topology"
)

// clusterLoad is a load and the faults that it goes through.
type clusterLoad struct {
	name   string
	plan   plan
	faults []fault
}

// unflagged says whether the broker may bring a message again as if for the first time: a classic queue whose node stops
// under a consumer on another one forgets what it has delivered in the last moment.
func (p plan) unflagged() bool { return p.queue == topology.Classic && len(p.nodes) > 1 }

// loads are those of a cluster: each kind of queue meets the faults that it does not take as the others do.
func (c *cluster) loads() []clusterLoad {
	rolling := fault{name: "rolling restart", strike: c.rollingRestart, shows: lost}
	moved := fault{name: "leader of the queue moved", quiet: true, strike: c.moveLeader}
	twoDown := fault{name: "two of three nodes down", strike: c.killTwo, heal: c.restartTwo}
	cutOff := fault{
		name: "cut off from one node", shows: lost,
		strike: c.away(func(p *faultproxy.Proxy) { p.Refuse(true); p.Reset() }),
		heal:   c.back(func(p *faultproxy.Proxy) { p.Refuse(false) }),
	}
	silent := fault{
		name: "silence of one node", shows: lostBy(core.ErrSilent),
		strike: c.away(func(p *faultproxy.Proxy) { p.Pause(faultproxy.Both) }),
		heal:   c.back(func(p *faultproxy.Proxy) { p.Resume(faultproxy.Both) }),
	}
	partitioned := fault{name: "the client's node partitioned", strike: c.isolate, heal: c.reunite}
	plans := []clusterLoad{
		// A node that cannot be reached keeps the consumer that the client had there, and its queue gives that one messages
		// too until the broker knows better: they come late. So no such fault where the order is looked at.
		{"quorum, in order", plan{workers: 1}, []fault{rolling, moved, twoDown, cutOff}},
		// While its node is down RabbitMQ before 4.3 knows no route to a classic queue, and returns what is published to it.
		{"classic, in order", plan{workers: 1, queue: topology.Classic, deleted: c.pausesMinority()}, []fault{rolling, twoDown, cutOff}},
		{"stream", plan{queue: topology.Stream}, []fault{rolling, twoDown, partitioned}},
		{"quorum, window of 5000", plan{window: 5000, prefetch: 2000, rate: 3000}, []fault{moved, twoDown, silent, partitioned}},
	}
	for i := range plans {
		plans[i].plan.nodes, plans[i].plan.rate = c.nodes, cmp.Or(plans[i].plan.rate, 1000)
	}
	return plans
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

// isolate cuts the node to which the client is connected, the leader of a quorum queue, off from its peers, until they
// see it: it still takes publishes, and none gets a confirm.
func (c *cluster) isolate(ctx context.Context, l *load) error {
	c.cut = c.nodes[1]
	if l.plan.queue == topology.Quorum {
		leader, err := c.leader(ctx)
		if err != nil {
			return err
		}
		c.cut = c.Node(leader)
	}
	if err := c.gather(ctx, l, c.cut); err != nil {
		return err
	}
	if err := c.Partition(ctx, c.cut); err != nil {
		return err
	}
	if err := l.stalled(ctx, l.plan.heartbeat/2); err != nil {
		return err
	}
	if c.cut.proxy.Conns() == 0 {
		return errors.New("publishes wait, and not on the isolated node")
	}
	if !eventuallyEvery(ctx, commandInterval, clusterTimeout, func() bool { return c.others(ctx, c.cut) == clusterSize-1 }) {
		return errors.New("its peers do not miss it")
	}
	return nil
}

// gather has all connections of the client lead to node b.
func (c *cluster) gather(ctx context.Context, l *load, b *broker) error {
	for _, other := range c.nodes {
		if other != b {
			other.proxy.Refuse(true)
			defer other.proxy.Refuse(false)
			other.proxy.Reset()
		}
	}
	if err := l.flow(ctx, flowMessages); err != nil {
		return fmt.Errorf("through %s alone: %w", b.name, err)
	}
	return nil
}

// others returns how many nodes a node other than b sees running, 0 if none answers.
func (c *cluster) others(ctx context.Context, b *broker) int {
	i := slices.IndexFunc(c.nodes, func(other *broker) bool { return other != b })
	out, err := c.nodes[i].Ctl(ctx, "eval", "rabbit_nodes:running_count().")
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(out)
	return n
}

// pausesMinority says whether a node that has lost the majority closes its connections. RabbitMQ 4.3, whose metadata is
// in Khepri, leaves them open.
func (c *cluster) pausesMinority() bool { return c.version != "4.3" }

// errMinority is why the application has the client leave a node.
var errMinority = errors.New("no publish is confirmed here")

// reunite wants messages to flow through the majority before it ends the partition: by the client alone if the isolated
// node has closed its connections, else once the application, which gets no confirm, has told it to reconnect.
func (c *cluster) reunite(ctx context.Context, l *load) error {
	if c.pausesMinority() {
		if !eventually(ctx, clusterTimeout, func() bool { return c.cut.proxy.Conns() == 0 }) {
			return errors.New("the isolated node keeps its connections")
		}
	} else {
		if err := l.stalled(ctx, 2*l.plan.heartbeat); err != nil || c.cut.proxy.Conns() == 0 {
			return fmt.Errorf("the client has left a live connection: %w", err)
		}
		l.client.Reconnect(errMinority)
	}
	if err := l.progress(ctx, flowMessages); err != nil {
		return fmt.Errorf("through the majority: %w", err)
	}
	if !eventually(ctx, recoverTimeout, func() bool { return c.cut.proxy.Conns() == 0 }) { // a node that is stuck reads their end late
		return fmt.Errorf("the client has %d connections to the isolated node", c.cut.proxy.Conns())
	}
	if err := c.Heal(ctx, c.cut); err != nil {
		return err
	}
	if c.pausesMinority() { // by itself one of 3.10 may hang as it comes back
		if err := c.cut.Kill(ctx); err != nil {
			return err
		}
		if err := c.cut.Restart(ctx); err != nil {
			return err
		}
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
	for _, version := range versions() {
		t.Run(version, func(t *testing.T) {
			c := startCluster(t, version)
			for _, load := range c.loads() {
				t.Run(load.name, func(t *testing.T) {
					leaveNoQueue(t, c.nodes[0])
					startLoad(t, c.nodes[0], load.plan, c.URLs()...).run(t, shuffled(t, load.faults))
				})
			}
		})
	}
}
