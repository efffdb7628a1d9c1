package chaos

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"github.com/warren-mq/warren/internal/docker"
)

const (
	clusterSize    = 3
	clusterTimeout = 5 * time.Minute
	clusterConf    = "../deploy/cluster/rabbitmq.conf"
	cookie         = "warren"
)

// cluster is three brokers, rabbit1 to rabbit3, in one RabbitMQ cluster, each behind a proxy of its own.
// They talk to each other on an internal network of the engine, clients to them on another, so that a node
// can be cut off from its peers and stay in reach of its clients.
type cluster struct {
	version string
	nodes   []*broker
	network *testcontainers.DockerNetwork
	cut     *broker // by the present fault
}

// startCluster returns a cluster of version of which all nodes run, and removes it when the test ends.
func startCluster(t testing.TB, version string, options ...brokerOption) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clusterTimeout)
	defer cancel()
	repeatable(t)
	c := &cluster{version: version}
	c.createNetwork(ctx, t)
	for i := range clusterSize {
		name := fmt.Sprintf("rabbit%d", i+1)
		c.nodes = append(c.nodes, launch(ctx, t, name, version, append([]brokerOption{c.joined(name)}, options...)...))
	}
	for _, b := range c.nodes {
		if err := b.WaitReady(ctx); err != nil {
			t.Fatal(err)
		}
		b.requireVersion(ctx, t, version)
	}
	if err := c.WaitRunning(ctx, clusterSize); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) createNetwork(ctx context.Context, t testing.TB) {
	t.Helper()
	var err error
	c.network, err = tcnetwork.New(ctx, tcnetwork.WithInternal(), tcnetwork.WithLabels(docker.Labels()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
		defer cancel()
		if err := c.network.Remove(ctx); err != nil {
			t.Error(err)
		}
	})
}

// joined makes a broker a node of the cluster.
func (c *cluster) joined(name string) brokerOption {
	return func(r *testcontainers.ContainerRequest) {
		r.Files = []testcontainers.ContainerFile{{
			HostFilePath: clusterConf, ContainerFilePath: "/etc/rabbitmq/rabbitmq.conf", FileMode: 0o644,
		}}
		// The nodes know each other by this cookie, whichever way an image keeps its own.
		r.Env["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] += " -setcookie " + cookie
		r.Env["RABBITMQ_CTL_ERL_ARGS"] = "-setcookie " + cookie
		r.Networks = []string{"bridge", c.network.Name}
		r.NetworkAliases = map[string][]string{c.network.Name: {name}}
	}
}

// URLs returns the AMQP URL of each node.
func (c *cluster) URLs() []string {
	var urls []string
	for _, b := range c.nodes {
		urls = append(urls, b.URL())
	}
	return urls
}

// Node returns the node of that name, rabbit1 or rabbit@rabbit1.
func (c *cluster) Node(name string) *broker {
	for _, b := range c.nodes {
		if b.name == strings.TrimPrefix(name, "rabbit@") {
			return b
		}
	}
	panic("no node " + name)
}

// WaitRunning waits until every node sees n nodes running.
func (c *cluster) WaitRunning(ctx context.Context, n int) error {
	var last string
	ok := eventuallyEvery(ctx, commandInterval, clusterTimeout, func() bool {
		for _, b := range c.nodes {
			out, err := b.Ctl(ctx, "eval", "rabbit_nodes:running_count().")
			if last = fmt.Sprintf("%s: %s %v", b.name, out, err); err != nil || out != fmt.Sprint(n) {
				return false
			}
		}
		return true
	})
	if !ok {
		return fmt.Errorf("not every node sees %d running: %s", n, last)
	}
	return nil
}

// Partition cuts node b off from its peers. Its clients still reach it.
func (c *cluster) Partition(ctx context.Context, b *broker) error {
	_, err := b.engine.NetworkDisconnect(ctx, c.network.ID, client.NetworkDisconnectOptions{Container: b.id()})
	return b.failed("partition", err)
}

// Heal ends Partition.
func (c *cluster) Heal(ctx context.Context, b *broker) error {
	_, err := b.engine.NetworkConnect(ctx, c.network.ID, client.NetworkConnectOptions{
		Container: b.id(), EndpointConfig: &network.EndpointSettings{Aliases: []string{b.name}},
	})
	return b.failed("heal", err)
}
