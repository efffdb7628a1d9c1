package docker

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// Labels of every container of this package, and of the test harness: who owns it. See [Sweep].
const (
	LabelPID  = "warren.pid"
	LabelHost = "warren.host"
)

// Options says how a broker runs. The zero value is a broker of [MainVersion] with its defaults.
type Options struct {
	Image    string            // by default what the function Image finds for MainVersion
	Conf     []string          // lines of rabbitmq.conf, after "loopback_users = none"
	Plugins  []string          // names of plugins to enable
	Env      map[string]string // environment; RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS replaces the flags for a small machine
	Mounts   []string          // "host-path:container-path[:ro]"
	Network  string            // a network of the engine; by default its default one
	Hostname string            // of the container, and so the node name rabbit@HOSTNAME; by default "rabbit1"
	TLS      *TLS              // also listen for TLS
	Publish  []int             // more container ports to publish, see Broker.Port
}

// TLS holds the PEM files of a broker that also listens on 5671.
type TLS struct {
	CA, Cert, Key []byte
	RequireClient bool // refuse clients without a certificate that CA has signed; by default none is asked for
}

// Broker is a container that runs RabbitMQ. Its address is chosen once and stays the same, and its data
// stays too, when it is killed and started again. Its methods are safe for concurrent use; each ends with
// its context.
type Broker struct {
	id, name string
	ports    map[int]int // of 127.0.0.1, by container port
}

// AMQP ports inside the container.
const (
	portAMQP  = 5672
	portAMQPS = 5671
)

// SmallMachine keeps Erlang's schedulers few and lets them sleep: brokers and tests share the processors.
const SmallMachine = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"

// sequence makes the names of containers of one process differ.
var sequence atomic.Int64

// Run creates and starts a broker and returns at once: see [Broker.WaitReady]. On an error nothing is left
// behind. The caller calls [Broker.Remove] at the end; [Sweep] removes what a dead process left.
func Run(ctx context.Context, o Options) (*Broker, error) {
	if o.Image == "" {
		image, err := Image(ctx, MainVersion, nil)
		if err != nil {
			return nil, err
		}
		o.Image = image
	}
	var err error
	for range 3 { // another process may take the free port first
		var b *Broker
		if b, err = runOnce(ctx, o); err == nil {
			return b, nil
		}
		if !portTaken(err) {
			break
		}
	}
	return nil, fmt.Errorf("starting a broker: %w", err)
}

// runOnce is one attempt of Run.
func runOnce(ctx context.Context, o Options) (*Broker, error) {
	b := &Broker{name: fmt.Sprintf("warren-%d-%d", os.Getpid(), sequence.Add(1)), ports: map[int]int{}}
	wanted := append([]int{portAMQP}, o.Publish...)
	if o.TLS != nil {
		wanted = append(wanted, portAMQPS)
	}
	for _, port := range wanted {
		free, err := freePort()
		if err != nil {
			return nil, err
		}
		b.ports[port] = free
	}
	id, err := run(ctx, nil, b.createArgs(o)...)
	if err != nil {
		return nil, err
	}
	b.id = id
	if err = b.configure(ctx, o); err == nil {
		err = b.Start(ctx)
	}
	if err != nil {
		_ = b.Remove(context.WithoutCancel(ctx))
		return nil, err
	}
	return b, nil
}

// createArgs returns the arguments of docker create.
func (b *Broker) createArgs(o Options) []string {
	if o.Hostname == "" {
		o.Hostname = "rabbit1"
	}
	args := []string{"create", "--name", b.name, "--hostname", o.Hostname}
	for name, value := range Labels() {
		args = append(args, "--label", name+"="+value)
	}
	for inside, outside := range b.ports {
		args = append(args, "--publish", fmt.Sprintf("127.0.0.1:%d:%d", outside, inside))
	}
	if o.Network != "" {
		args = append(args, "--network", o.Network)
	}
	args = append(args, "--env", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+SmallMachine)
	for name, value := range o.Env {
		args = append(args, "--env", name+"="+value)
	}
	for _, mount := range o.Mounts {
		args = append(args, "--volume", mount)
	}
	return append(args, o.Image, "rabbitmq-server")
}

// Labels returns the labels that mark a container as this process's own.
func Labels() map[string]string {
	host, _ := os.Hostname()
	return map[string]string{LabelPID: strconv.Itoa(os.Getpid()), LabelHost: host}
}

// Name returns the container's name, by which others on its network reach it.
func (b *Broker) Name() string { return b.name }

// Port returns the port on 127.0.0.1 where the container's port is published, or 0.
func (b *Broker) Port(container int) int { return b.ports[container] }

// Addr returns the address, "127.0.0.1:PORT", of the AMQP listener.
func (b *Broker) Addr() string { return b.addr(portAMQP) }

// TLSAddr returns the address of the TLS listener, of a broker that has one.
func (b *Broker) TLSAddr() string { return b.addr(portAMQPS) }

// URL returns the AMQP URL of the default user and virtual host.
func (b *Broker) URL() string { return "amqp://guest:guest@" + b.Addr() + "/" }

func (b *Broker) addr(container int) string { return "127.0.0.1:" + strconv.Itoa(b.ports[container]) }

// Start starts the container after Run, Stop or Kill, with its data and under its address.
func (b *Broker) Start(ctx context.Context) error { return b.control(ctx, "start") }

// Stop stops the broker by SIGTERM, which closes its connections with code 320, and kills it after 20 s.
func (b *Broker) Stop(ctx context.Context) error { return b.control(ctx, "stop", "--time", "20") }

// Kill ends the broker by SIGKILL, as a crash of its machine would.
func (b *Broker) Kill(ctx context.Context) error { return b.control(ctx, "kill", "--signal", "KILL") }

// Pause freezes the broker: its connections stay open and silent.
func (b *Broker) Pause(ctx context.Context) error { return b.control(ctx, "pause") }

// Unpause ends Pause.
func (b *Broker) Unpause(ctx context.Context) error { return b.control(ctx, "unpause") }

// Remove removes the container, running or not, and its data.
func (b *Broker) Remove(ctx context.Context) error {
	return b.control(ctx, "rm", "--force", "--volumes")
}

// Exec runs a command in the container, such as rabbitmqctl, and returns what it printed.
func (b *Broker) Exec(ctx context.Context, args ...string) (string, error) {
	return run(ctx, nil, append([]string{"exec", b.id}, args...)...)
}

// Logs returns what the broker has logged since Run.
func (b *Broker) Logs(ctx context.Context) (string, error) {
	return runMerged(ctx, "logs", b.id)
}

func (b *Broker) control(ctx context.Context, args ...string) error {
	_, err := run(ctx, nil, append(args, b.id)...)
	return err
}

// portTaken says whether err is the engine's refusal to publish a port that something else listens on.
func portTaken(err error) bool {
	return strings.Contains(err.Error(), "already allocated") || strings.Contains(err.Error(), "address already in use")
}
