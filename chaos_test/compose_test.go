package chaos

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/topology"
)

const composeFile = "../docker-compose.yml"

// compose is the cluster of docker-compose.yml, as a project of its own on free ports.
type compose struct {
	command []string // "docker compose" or "docker-compose"
	env     []string
	ports   []string
}

// findCompose returns the command of Compose, or nil where it is not installed.
func findCompose(ctx context.Context) []string {
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.CommandContext(ctx, command[0], append(command[1:], "version")...).Run() == nil {
			return command
		}
	}
	return nil
}

// startCompose brings the cluster up, and down when the test ends, however it ends.
func startCompose(ctx context.Context, t *testing.T) *compose {
	t.Helper()
	repeatable(t)
	image := dockertest.Image(t, docker.MainVersion)
	command := findCompose(ctx)
	if command == nil {
		t.Skip("Compose is not installed")
	}
	project := fmt.Sprintf("warren%d", os.Getpid())
	c := &compose{command: append(command, "-f", composeFile, "-p", project), env: append(os.Environ(), "RABBITMQ_IMAGE="+image)}
	for i := range clusterSize {
		c.ports = append(c.ports, freePort(t))
		c.env = append(c.env, fmt.Sprintf("WARREN_PORT%d=%s", i+1, c.ports[i]))
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if out, err := c.run(ctx, "down", "--volumes", "--timeout", "1"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	if out, err := c.run(ctx, "up", "--detach"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return c
}

// run returns what a command of Compose printed on both its outputs.
func (c *compose) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.command[0], slices.Concat(c.command[1:], args)...)
	cmd.Env = c.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", strings.Join(c.command, " "), args[0], err)
	}
	return strings.TrimSpace(string(out)), err
}

// eval returns what an Erlang expression is on the first node.
func (c *compose) eval(ctx context.Context, expression string) (string, error) {
	return c.run(ctx, "exec", "-T", "rabbit1", "rabbitmqctl", "--silent", "eval", expression)
}

// freePort returns a port of 127.0.0.1 on which nothing listens now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func TestComposeClusterHasThreeNodesAndQuorumQueuesThreeMembers(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	c := startCompose(ctx, t)
	var last string
	running := func() bool {
		out, err := c.eval(ctx, "length(rabbit_nodes:list_running()).")
		last = fmt.Sprintf("%s %v", out, err)
		return err == nil && out == strconv.Itoa(clusterSize)
	}
	if !eventually(ctx, clusterTimeout, running) {
		t.Fatalf("three nodes do not run: %s", last)
	}
	for _, port := range c.ports {
		if err := docker.WaitReady(ctx, "127.0.0.1:"+port, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	declareQuorumQueue(ctx, t, "127.0.0.1:"+c.ports[2])
	members, err := c.run(ctx, "exec", "-T", "rabbit1", "rabbitmqctl", "--silent", "list_queues", "--no-table-headers", "name", "type", "members")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"orders", "quorum", "rabbit@rabbit1", "rabbit@rabbit2", "rabbit@rabbit3"} {
		if !strings.Contains(members, part) {
			t.Errorf("%q is missing in the queue's line %q", part, members)
		}
	}
}

func declareQuorumQueue(ctx context.Context, t *testing.T, addr string) {
	t.Helper()
	conn, err := core.Dial(ctx, core.Config{Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	ch, err := conn.Channel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	queue := topology.Queue{Name: "orders", Type: topology.Quorum}
	if _, err := ch.QueueDeclare(ctx, *queue.Declare()); err != nil {
		t.Fatal(err)
	}
}
