package demo

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/faultproxy"
)

// target is the broker of a run, and the means to break it.
type target struct {
	cfg   core.Config                 // how to connect
	ours  bool                        // it ends with the run
	kill  func(context.Context) error // and start again, at once when the context ends
	reset func()                      // every connection
	close func()
}

// startTarget starts the broker that cfg asks for, or connects to one that runs.
func startTarget(ctx context.Context, cfg Config, say func(string, ...any)) (*target, error) {
	switch {
	case cfg.URL != "":
		return useBroker(ctx, cfg.URL)
	case cfg.Docker:
		return startContainer(ctx, say)
	default:
		return startMemory(say), nil
	}
}

// downtime is how long the broker in memory stays down when it is killed.
const downtime = 500 * time.Millisecond

// startMemory starts a broker in this process. Nothing of it touches the network.
func startMemory(say func(string, ...any)) *target {
	say("broker in memory; -docker runs RabbitMQ, -url uses one that runs")
	b := brokertest.NewBroker()
	return &target{
		cfg:   core.Config{Addr: "memory:5672", DialContext: b.DialContext},
		ours:  true,
		reset: func() { b.Cut() },
		close: b.Close,
		kill: func(ctx context.Context) error {
			b.Stop()
			defer b.Start()
			t := time.NewTimer(downtime)
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
			}
			return nil
		},
	}
}

// useBroker takes the broker at url, which must answer, through a proxy.
func useBroker(ctx context.Context, url string) (*target, error) {
	cfg, err := core.ParseURL(url)
	if err != nil {
		return nil, err
	}
	conn, err := core.Dial(ctx, cfg) // a clear error before anything else, without a proxy in between
	if err != nil {
		return nil, err
	}
	if err := conn.Close(ctx); err != nil {
		return nil, err
	}
	proxy, err := faultproxy.New(cfg.Addr)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(cfg.Addr) // it was dialled
	cfg.TLS = cfg.TLS.ForHost(host)           // the certificate is the broker's, not the proxy's
	cfg.Addr = proxy.Addr()
	return &target{cfg: cfg, reset: proxy.Reset, close: proxy.Close}, nil
}

// startTimeout is how long a broker in a container may take to start.
const startTimeout = 2 * time.Minute

// removeTimeout bounds the removal of a container.
const removeTimeout = 30 * time.Second

// startContainer starts RabbitMQ in a container, behind a proxy.
func startContainer(ctx context.Context, say func(string, ...any)) (*target, error) {
	b, err := runContainer(ctx, say)
	if err != nil {
		return nil, err
	}
	remove := func() {
		ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
		defer cancel()
		_ = b.Remove(ctx) // the next run sweeps what this one leaves
	}
	proxy, err := faultproxy.New(b.Addr())
	if err != nil {
		remove()
		return nil, err
	}
	return &target{
		cfg:   core.Config{Addr: proxy.Addr()},
		ours:  true,
		reset: proxy.Reset,
		close: func() { proxy.Close(); remove() },
		kill:  func(ctx context.Context) error { return restart(ctx, b.Kill, b.Start) },
	}, nil
}

// restart has a broker killed and started again, whenever ctx ends: a run that
// is interrupted needs it to finish. Ctrl-C ends the engine's command that is
// running too, and not what it has begun, so then both are done again.
func restart(ctx context.Context, kill, start func(context.Context) error) error {
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	err := kill(bound)
	if err == nil {
		err = start(bound)
	}
	if err != nil && ctx.Err() != nil {
		_ = kill(bound) // it may be dead already
		err = start(bound)
	}
	return err
}

func runContainer(ctx context.Context, say func(string, ...any)) (*docker.Broker, error) {
	if err := docker.Available(ctx); err != nil {
		return nil, fmt.Errorf("%w; use -url for a broker that runs already", err)
	}
	if _, err := docker.Sweep(ctx); err != nil {
		return nil, err
	}
	image, err := docker.Image(ctx, docker.MainVersion, func(line string) { say("%s", line) })
	if err != nil {
		return nil, err
	}
	say("starting RabbitMQ (%s)", image)
	b, err := docker.Run(ctx, docker.Options{Image: image})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("the broker did not start within %s", startTimeout))
	defer cancel()
	if err := b.WaitReady(ctx); err != nil {
		_ = b.Remove(context.WithoutCancel(ctx))
		return nil, err
	}
	return b, nil
}
