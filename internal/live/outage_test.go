package live

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/recovery"
)

// TestOutagesWithRabbitMQ is about a client's two connections to a broker that goes away, and comes back.
func TestOutagesWithRabbitMQ(t *testing.T) {
	for _, version := range dockertest.Versions() {
		t.Run(version, func(t *testing.T) {
			broker := dockertest.Run(t, version, docker.Options{})
			t.Run("both come back together", func(t *testing.T) { testTogether(t, broker) })
			t.Run("the main connection is half open", func(t *testing.T) { testHalfOpen(t, broker) })
		})
	}
}

// through returns a proxy in front of the broker.
func through(t *testing.T, broker *docker.Broker) *faultproxy.Proxy {
	t.Helper()
	proxy, err := faultproxy.New(broker.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	return proxy
}

// publishing returns a client that has declared the queue q, and has published to it.
func publishing(ctx context.Context, t *testing.T, broker *docker.Broker, dial func(context.Context) (net.Conn, error)) (*warren.Client, func() error) {
	t.Helper()
	client, err := warren.Dial(ctx, broker.URL(), warren.WithConnection(func(c *core.Config) {
		c.Heartbeat = 2 * time.Second
		c.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if _, err := client.Declare(ctx, warren.Topology{Queues: []warren.Queue{{Name: "q"}}}); err != nil {
		t.Fatal(err)
	}
	pub, err := client.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	publish := func() error { return pub.Publish(ctx, warren.Message{RoutingKey: "q"}) }
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	return client, publish
}

func testTogether(t *testing.T, broker *docker.Broker) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	proxy := through(t, broker)
	client, publish := publishing(ctx, t, broker, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", proxy.Addr())
	})
	events := client.Events(ctx)
	proxy.Refuse(true)
	proxy.Reset()
	opened := map[string]time.Time{}
	attempts := 0
	var back time.Time
	for e := range events {
		if e.Kind == recovery.EventRetrying && back.IsZero() {
			if attempts++; attempts == 9 { // they wait for seconds now
				back = time.Now()
				proxy.Refuse(false)
			}
		}
		if e.Kind == recovery.EventOpened {
			if opened[e.Connection] = e.Time; len(opened) == 2 {
				break
			}
		}
	}
	apart := opened["main"].Sub(opened["publish"]).Abs()
	t.Logf("main is back after %v, publish after %v", opened["main"].Sub(back), opened["publish"].Sub(back))
	if apart > time.Second { // half a second, and a handshake
		t.Errorf("%v apart", apart)
	}
	if err := client.AwaitReady(ctx); err != nil {
		t.Error(err)
	}
	if err := publish(); err != nil {
		t.Error(err)
	}
}

func testHalfOpen(t *testing.T, broker *docker.Broker) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	first, second := through(t, broker), through(t, broker)
	var dials atomic.Int64
	client, publish := publishing(ctx, t, broker, func(ctx context.Context) (net.Conn, error) {
		addr := broker.Addr()
		switch dials.Add(1) {
		case 1:
			addr = first.Addr()
		case 2:
			addr = second.Addr()
		}
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	})
	first.Blackhole(faultproxy.Both, true)
	other, err := warren.Dial(ctx, broker.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(ctx) }()
	ch, err := other.Channel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDelete(ctx, core.QueueDelete{Queue: "q"}); err != nil { // as if the broker had started again
		t.Fatal(err)
	}
	second.Reset()
	if err := publish(); err != nil {
		t.Errorf("publish: %v", err)
	}
	if err := client.AwaitReady(ctx); err != nil {
		t.Error(err)
	}
}
