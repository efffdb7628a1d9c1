package chaos

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/internal/faultproxy"
)

const (
	startTimeout  = 2 * time.Minute
	removeTimeout = 30 * time.Second
	amqpPort      = "5672/tcp"
)

// localhost is where brokers publish their ports, each at a free one.
var localhost = netip.MustParseAddr("127.0.0.1")

// broker is a RabbitMQ in a container behind a fault proxy. Its methods may be called from any goroutine;
// each ends with its context.
type broker struct {
	name      string // its host name, and rabbit@name its node name
	version   string
	container testcontainers.Container
	engine    *testcontainers.DockerClient
	proxy     *faultproxy.Proxy
}

// brokerOption changes how startBroker starts its container.
type brokerOption func(*testcontainers.ContainerRequest)

// withConf adds lines to rabbitmq.conf.
func withConf(lines ...string) brokerOption {
	return func(r *testcontainers.ContainerRequest) {
		conf := append([]string{"loopback_users = none"}, lines...)
		r.Files = []testcontainers.ContainerFile{{
			Reader:            strings.NewReader(strings.Join(conf, "\n") + "\n"),
			ContainerFilePath: "/etc/rabbitmq/rabbitmq.conf",
			FileMode:          0o644,
		}}
	}
}

// startBroker returns a broker of version that is ready, and removes it when the test ends. Without a
// container engine it skips the test. A test that fails says how to repeat it.
func startBroker(t testing.TB, version string, options ...brokerOption) *broker {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	repeatable(t)
	b := launch(ctx, t, "rabbit1", version, options...)
	if err := b.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	b.requireVersion(ctx, t, version)
	return b
}

// requireVersion fails the test if the broker says that it is of another version. RABBITMQ_IMAGE may choose any.
func (b *broker) requireVersion(ctx context.Context, t testing.TB, version string) {
	t.Helper()
	conn, err := core.Dial(ctx, core.Config{Addr: b.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	says, _ := conn.Server().Properties["version"].(string)
	switch image := os.Getenv("RABBITMQ_IMAGE"); {
	case isVersion(says, version):
	case image != "":
		t.Logf("RABBITMQ_IMAGE=%s: the broker is of version %s, not %s", image, says, version)
	default:
		t.Fatalf("the broker is of version %q, want %s", says, version)
	}
}

// isVersion reports whether a broker that says so is of that version, such as 4.3.
func isVersion(says, version string) bool { return strings.HasPrefix(says+".", version+".") }

func TestAVersionIsToldFromAnother(t *testing.T) {
	for says, want := range map[string]bool{"4.3.6": true, "4.3": true, "4.30.1": false, "4.0.5": false, "14.3.1": false, "": false} {
		if got := isVersion(says, "4.3"); got != want {
			t.Errorf("%q is 4.3: %v", says, got)
		}
	}
}

// launch starts a broker and does not wait until it is ready.
func launch(ctx context.Context, t testing.TB, name, version string, options ...brokerOption) *broker {
	t.Helper()
	request := testcontainers.ContainerRequest{
		Image:        dockertest.Image(t, version),
		Cmd:          []string{"rabbitmq-server"},
		ExposedPorts: []string{amqpPort},
		Labels:       docker.Labels(),
		Env:          map[string]string{"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": docker.SmallMachine},
		// The node's name, and so the place of its data, holds the host name.
		ConfigModifier: func(c *container.Config) { c.Hostname = name },
		HostConfigModifier: func(c *container.HostConfig) {
			c.PortBindings = network.PortMap{network.MustParsePort(amqpPort): {{HostIP: localhost}}}
		},
	}
	for _, option := range append([]brokerOption{withConf()}, options...) {
		option(&request)
	}
	b := &broker{name: name, version: version}
	t.Cleanup(func() { b.remove(t) })
	var err error
	if b.engine, err = testcontainers.NewDockerClientWithOpts(ctx); err != nil {
		t.Fatal(err)
	}
	b.container, err = testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		ContainerRequest: request, Started: true, Logger: log.TestLogger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.proxy, err = faultproxy.New(""); err != nil {
		t.Fatal(err)
	}
	if err := b.follow(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

// follow points the proxy at the port under which the engine publishes the broker now: it is another one
// after each start.
func (b *broker) follow(ctx context.Context) error {
	upstream, err := b.container.PortEndpoint(ctx, amqpPort, "")
	if err != nil {
		return fmt.Errorf("port of the broker: %w", err)
	}
	b.proxy.SetUpstream(upstream)
	return nil
}

// Addr returns the address of the proxy before the broker, which never changes.
func (b *broker) Addr() string { return b.proxy.Addr() }

// URL returns the AMQP URL of the default user and virtual host.
func (b *broker) URL() string { return "amqp://guest:guest@" + b.Addr() + "/" }

// WaitReady waits until the broker answers AMQP through the proxy.
func (b *broker) WaitReady(ctx context.Context) error {
	return docker.WaitReady(ctx, b.Addr(), func() error {
		state, err := b.container.State(ctx)
		if err == nil && !state.Running {
			return fmt.Errorf("broker %s has stopped with status %d", b.name, state.ExitCode)
		}
		return nil
	})
}

// Exec runs a command in the container, such as rabbitmqctl, and returns what it printed.
func (b *broker) Exec(ctx context.Context, args ...string) (string, error) {
	status, out, err := b.container.Exec(ctx, args, exec.Multiplexed())
	if err != nil {
		return "", fmt.Errorf("%s: %w", args[0], err)
	}
	text, err := io.ReadAll(out)
	if err == nil && status != 0 {
		err = fmt.Errorf("%s: status %d: %s", args[0], status, text)
	}
	return strings.TrimSpace(string(text)), err
}

// Logs returns what the broker has logged.
func (b *broker) Logs(ctx context.Context) (string, error) {
	logs, err := b.container.Logs(ctx)
	if err != nil {
		return "", err
	}
	defer logs.Close()
	text, err := io.ReadAll(logs)
	return string(text), err
}

// remove ends what launch started, as far as it came.
func (b *broker) remove(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	if b.proxy != nil {
		b.proxy.Close()
	}
	if b.container != nil {
		if t.Failed() {
			text, _ := b.Logs(ctx)
			t.Logf("the log of broker %s ends with:\n%s", b.name, text[max(0, len(text)-4000):])
		}
		if err := b.container.Terminate(ctx, testcontainers.StopTimeout(0)); err != nil {
			t.Error(err)
		}
	}
	if b.engine != nil {
		if err := b.engine.Close(); err != nil {
			t.Error(err)
		}
	}
}
