package warren_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/topology"
)

// richTopology holds one of each kind that comes back differently.
var richTopology = warren.Topology{
	Exchanges: []warren.Exchange{
		{Name: "x", Type: topology.Topic},
		{Name: "copies", Type: topology.Fanout, AutoDelete: true},
		{Name: "headers", Type: topology.Headers, Transient: true},
		{Name: "inner", Type: topology.Direct, Internal: true},
	},
	Queues: []warren.Queue{
		{Name: "classic"}, {Name: "quorum", Type: topology.Quorum}, {Name: "stream", Type: topology.Stream},
		{Name: "own", Exclusive: true, Transient: true}, {Name: "auto", AutoDelete: true}, {Exclusive: true, Transient: true},
	},
	Bindings: []warren.Binding{
		{Source: "x", Destination: "classic", RoutingKey: "all.#"}, {Source: "x", Destination: "quorum", RoutingKey: "all.#"},
		{Source: "x", Destination: "stream", RoutingKey: "all.#"}, {Source: "x", Destination: "own", RoutingKey: "own"},
		{Source: "x", Destination: "copies", ToExchange: true, RoutingKey: "copy"}, {Source: "copies", Destination: "auto"},
		{Source: "headers", Destination: "classic", Arguments: warren.Table{"x-match": "any", "kind": "order"}},
		{Source: "headers", Destination: "classic", Arguments: warren.Table{"x-match": "any", "kind": "bill"}},
		{Source: "copies", Destination: "inner", ToExchange: true}, {Source: "inner", Destination: "classic", RoutingKey: "copy"},
		{Source: "x", RoutingKey: "unnamed"},
	},
}

// TestReplayIsCutAtEveryStep takes the connections, and then cuts those that replace them at the n-th method
// that is sent in one direction, publishes and acks included, for every n.
func TestReplayIsCutAtEveryStep(t *testing.T) {
	for _, loss := range []struct {
		name string
		lose func(*brokertest.Broker)
	}{
		{"cut", func(b *brokertest.Broker) { b.Cut() }},
		{"restart", func(b *brokertest.Broker) { b.Restart() }},
		{"forget", func(b *brokertest.Broker) { b.Restart(brokertest.Forget) }},
	} {
		for _, side := range []struct {
			name string
			hook func(*brokertest.Broker, func(brokertest.Event) brokertest.Action) *brokertest.Hook
		}{
			{"asked", func(b *brokertest.Broker, f func(brokertest.Event) brokertest.Action) *brokertest.Hook {
				return b.OnReceive(0, f)
			}},
			{"answered", func(b *brokertest.Broker, f func(brokertest.Event) brokertest.Action) *brokertest.Hook {
				return b.OnSend(0, f)
			}},
		} {
			t.Run(loss.name+" "+side.name, func(t *testing.T) {
				n := 1
				for ; ; n++ {
					hit := false
					t.Run(fmt.Sprint(n), func(t *testing.T) {
						inBubble(t, func(e *env) { hit = e.cutReplay(loss.lose, side.hook, n) })
					})
					if !hit || t.Failed() {
						break
					}
				}
				if n < 40 {
					t.Errorf("only %d steps were cut", n-1)
				}
				t.Logf("%d steps", n-1)
			})
		}
	}
}

// cutReplay cuts one replay at the n-th step and checks what is there afterwards. It reports whether there was such a step.
func (e *env) cutReplay(lose func(*brokertest.Broker), hook func(*brokertest.Broker, func(brokertest.Event) brokertest.Action) *brokertest.Hook, n int) bool {
	client := e.dial(warren.WithRetry(func() backoff.BackOff { return backoff.NewConstantBackOff(100 * time.Millisecond) }))
	e.declare(client, richTopology)
	got := e.consumeAll(client, "classic", "quorum", "own", "auto", "stream")
	pub, err := client.Publisher()
	if err != nil {
		e.Fatal(err)
	}
	publish := func(key string, body int) {
		e.Helper()
		if err := pub.Publish(e.ctx, warren.Message{Exchange: "x", RoutingKey: key, Body: fmt.Append(nil, body)}); err != nil {
			e.Errorf("publish %d: %v", body, err)
		}
	}
	publish("all.0", 0)
	synctest.Wait()
	before := e.inventory()
	// 1st: the loss, and a message under way while the replay is cut.
	cut := hook(e.broker, brokertest.Nth(n, brokertest.Cut))
	lose(e.broker)
	publish("all.1", 1)
	if err := client.AwaitReady(e.ctx); err != nil {
		e.Fatal(err)
	}
	synctest.Wait()
	time.Sleep(time.Minute) // whatever was put off
	cut.Remove()
	// 2nd: everything is as it was, and works.
	if after := e.inventory(); after != before {
		e.Errorf("the broker holds\n%s\nand held\n%s", after, before)
	}
	if s := client.State(); !s.Ready() {
		e.Errorf("state %+v", s)
	}
	publish("all.2", 2)
	publish("own", 3)
	publish("copy", 4)
	publish("unnamed", 5)
	synctest.Wait()
	for queue, want := range map[string]string{"classic": "0 1 2 4", "quorum": "0 1 2", "stream": "0 1 2", "own": "3", "auto": "4"} {
		if have := got.of(queue); have != want {
			e.Errorf("%s: handled %s, want %s", queue, have, want)
		}
	}
	e.close(client)
	return cut.Hits() >= n
}

// bodies are the messages that were handled, by queue.
type bodies struct {
	mu  sync.Mutex // guards the following
	all map[string][]string
}

// list returns what came from a queue.
func (b *bodies) list(queue string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.all[queue])
}

// of returns what came from a queue, each message once.
func (b *bodies) of(queue string) string {
	list := b.list(queue)
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " ")
}

func (e *env) consumeAll(client *warren.Client, queues ...string) *bodies {
	got := &bodies{all: map[string][]string{}}
	for _, queue := range queues {
		options := []consumer.Option{consumer.Tag("of " + queue), consumer.Prefetch(7)}
		if queue == "stream" {
			options = append(options, consumer.FromOffset("first"))
		}
		c, err := client.Consumer(queue, options...)
		if err != nil {
			e.Fatal(err)
		}
		go func() {
			_ = c.Run(context.WithoutCancel(e.ctx), func(_ context.Context, d *warren.Delivery) error {
				got.mu.Lock()
				defer got.mu.Unlock()
				got.all[queue] = append(got.all[queue], string(d.Body))
				return nil
			})
		}()
	}
	return got
}

// inventory is what the broker holds, as sorted lines, names that it chose left out.
func (e *env) inventory() string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	name := func(s string) string {
		if strings.HasPrefix(s, "amq.gen-") {
			return "(chosen)"
		}
		return s
	}
	for _, x := range e.broker.Exchanges() {
		add("exchange %s %s %t %t %t %v", x.Name, x.Type, x.Durable, x.AutoDelete, x.Internal, x.Arguments)
	}
	for _, q := range e.broker.Queues() {
		add("queue %s %s %t %t %t %v", name(q.Name), q.Type, q.Durable, q.Exclusive, q.AutoDelete, q.Arguments)
	}
	for _, b := range e.broker.Bindings() {
		add("binding %s %s %t %s %v", b.Source, name(b.Destination), b.ToExchange, strings.Replace(b.Key, b.Destination, "", 1), b.Arguments)
	}
	for _, c := range e.broker.Consumers() {
		add("consumer %s %s %t %d", c.Queue, c.Tag, c.NoAck, c.Prefetch)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
