package demo

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/faultproxy"
)

// target is the broker of a run, behind a proxy that can cut connections.
type target struct {
	cfg    core.Config // how to connect, through the proxy
	proxy  *faultproxy.Proxy
	broker *docker.Broker // nil: somebody else's
}

// ready is how long a broker may take to start.
const ready = 2 * time.Minute

// startTarget starts a broker in a container, or takes the one at url.
func startTarget(ctx context.Context, url string, say func(string, ...any)) (t *target, err error) {
	t = &target{}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if url == "" {
		if t.broker, err = startBroker(ctx, say); err != nil {
			return t, err
		}
		url = t.broker.URL()
	}
	if t.cfg, err = core.ParseURL(url); err != nil {
		return t, err
	}
	if t.broker == nil { // a clear error before anything else, without a proxy in between
		conn, err := core.Dial(ctx, t.cfg)
		if err != nil {
			return t, err
		}
		if err := conn.Close(ctx); err != nil {
			return t, err
		}
	}
	if t.proxy, err = faultproxy.New(t.cfg.Addr); err != nil {
		return t, err
	}
	if t.cfg.TLS != nil { // the certificate is the broker's, not the proxy's
		host, _, _ := net.SplitHostPort(t.cfg.Addr)
		t.cfg.TLS = withServerName(t.cfg.TLS, host)
	}
	t.cfg.Addr = t.proxy.Addr()
	return t, nil
}

func withServerName(c *tls.Config, host string) *tls.Config {
	c = c.Clone()
	if c.ServerName == "" {
		c.ServerName = host
	}
	return c
}

func startBroker(ctx context.Context, say func(string, ...any)) (*docker.Broker, error) {
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
	ctx, cancel := context.WithTimeoutCause(ctx, ready, fmt.Errorf("the broker did not start within %s", ready))
	defer cancel()
	if err := b.WaitReady(ctx); err != nil {
		_ = b.Remove(context.WithoutCancel(ctx))
		return nil, err
	}
	return b, nil
}

// kill ends the broker as a crash would, and starts it again.
func (t *target) kill(ctx context.Context) error {
	if err := t.broker.Kill(ctx); err != nil {
		return err
	}
	return t.broker.Start(ctx)
}

// closeTimeout bounds the removal of what a run started.
const closeTimeout = 30 * time.Second

func (t *target) close() {
	if t.proxy != nil {
		t.proxy.Close()
	}
	if t.broker != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = t.broker.Remove(ctx) // the next run sweeps what this one leaves
	}
}
