package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
)

// TestInnocentConsumersWithRabbitMQ: a queue that refuses its consumers keeps no other consumer of the client from
// its messages, neither one on the same channel nor a member of the same connection.
func TestInnocentConsumersWithRabbitMQ(t *testing.T) {
	for _, version := range dockertest.Versions() {
		t.Run(version, func(t *testing.T) {
			broker := dockertest.Run(t, version, docker.Options{})
			t.Run("beside one that is refused with 403", func(t *testing.T) {
				testInnocents(t, broker, core.ErrAccessRefused,
					[]string{"set_permissions", "guest", ".*", ".*", "^(?!sick)"}, []string{"set_permissions", "guest", ".*", ".*", ".*"})
			})
			t.Run("beside one over which the connection is closed with 541", func(t *testing.T) {
				testInnocents(t, broker, core.ErrInternal,
					[]string{"eval", "ra:stop_server(quorum_queues, {'%2F_sick', node()})."}, []string{"eval", "ra:restart_server(quorum_queues, {'%2F_sick', node()})."})
			})
		})
	}
}

// testInnocents has rabbitmqctl make the queue "sick" refuse its consumers with code, cuts all connections, and mends it.
func testInnocents(t *testing.T, broker *docker.Broker, code core.Code, refuse, mend []string) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var channels, connections atomic.Int64
	client, err := warren.Dial(ctx, broker.URL(), warren.WithListener(func(ev warren.Event) {
		switch ev.Kind {
		case warren.EventChannelLost:
			channels.Add(1)
		case warren.EventLost:
			connections.Add(1)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	e := &env{t, broker, client, ctx}
	ctl := func(args []string) {
		t.Helper()
		if out, err := broker.Exec(ctx, append([]string{"rabbitmqctl"}, args...)...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	e.declare(warren.Queue{Name: "sick", Type: "quorum"}, warren.Queue{Name: "well.member"}, warren.Queue{Name: "well.channel"})
	var got seen
	for _, queue := range []string{"sick", "well.member"} {
		c, err := client.Consumer(queue)
		if err == nil {
			err = c.Start(ctx, got.handle)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ch, err := client.Channel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, queue := range []string{"sick", "well.channel"} {
		c, err := ch.Consume(ctx, core.BasicConsume{Queue: queue})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for d, err := range c.All(context.Background()) {
				if err != nil {
					return
				}
				if d.Ack() == nil {
					_ = got.handle(ctx, d)
				}
			}
		}()
	}
	p := e.publisher()
	publish := func(queue, body string) {
		t.Helper()
		if err := p.Publish(ctx, warren.Message{RoutingKey: queue, Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	ctl(refuse)
	ctl([]string{"close_all_connections", "test"})
	e.await("the refusal is told", func() bool {
		for _, f := range client.State().Degraded {
			if errors.Is(f, code) && strings.Contains(f.Entity+f.Error(), "sick") {
				return true
			}
		}
		return false
	})
	lostChannels, lostConnections := channels.Load(), connections.Load()
	var late time.Duration
	want := 0
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for begun := time.Now(); time.Since(begun) < 12*time.Second; want += 2 {
		at := time.Now()
		publish("well.member", fmt.Sprint("member ", want))
		publish("well.channel", fmt.Sprint("channel ", want))
		e.await("the others have their messages", func() bool { return got.len() == want+2 })
		late = max(late, time.Since(at))
		<-pace.C
	}
	lostChannels, lostConnections = channels.Load()-lostChannels, connections.Load()-lostConnections
	t.Logf("%d messages of the others, the latest after %s; %d channels and %d connections lost; %v", want, late, lostChannels, lostConnections, client.State().Degraded)
	if late > 10*time.Second {
		t.Errorf("the others waited %s", late)
	}
	if code == core.ErrAccessRefused && (lostChannels > 1 || lostConnections > 0) {
		t.Errorf("%d channels and %d connections lost over a consumer that was refused before", lostChannels, lostConnections)
	}
	for _, f := range client.State().Degraded {
		if strings.Contains(f.Entity, "well") {
			t.Errorf("degraded: %v", f)
		}
	}
	ctl(mend)
	if err := client.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	publish("sick", "at last")
	e.await("the queue that is well again is consumed", func() bool { return got.len() == want+1 })
	if err := client.Drain(ctx); err != nil {
		t.Errorf("drain: %v", err)
	}
}
