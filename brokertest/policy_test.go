package brokertest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

func TestPolicies(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		ready := func(name string, want int) {
			t.Helper()
			if q, _ := b.Queue(name); q.Ready != want {
				t.Errorf("%s has %d messages, want %d", name, q.Ready, want)
			}
		}
		publish := func(queue string) {
			say(`a1 basic.publish RoutingKey=`+queue+` Body="1"`, `a1 basic.publish RoutingKey=`+queue+` Body="2"`,
				`a1 basic.publish RoutingKey=`+queue+` Body="3"`)
		}
		say("a1 queue.declare Queue=dead Durable", "a1 queue.declare Queue=orders Durable", "a1 queue.declare Queue=other Durable",
			"a1 queue.declare Queue=orders.short Durable Arguments={x-max-length=1}")
		publish("orders")
		publish("other")
		b.SetPolicy(Policy{Name: "weak", Pattern: "", Definition: wire.Table{"max-length": int64(0)}, Priority: -1, ApplyTo: "exchanges"})
		b.SetPolicy(Policy{Name: "limit", Pattern: "^orders", ApplyTo: "queues",
			Definition: wire.Table{"max-length": int64(2), "dead-letter-exchange": "", "dead-letter-routing-key": "dead"}})
		ready("orders", 2) // at once
		ready("dead", 1)
		ready("other", 3)
		publish("orders.short") // keeps the lower limit
		ready("orders.short", 1)
		ready("dead", 3)
		expect(t, say("a1 queue.declare Queue=orders Durable"), "a1 queue.declare-ok Queue=orders MessageCount=2")
		say("a1 queue.declare Queue=orders.new Durable")
		publish("orders.new")
		ready("orders.new", 2)
		b.DeletePolicy("", "limit")
		publish("orders")
		ready("orders", 5)
	})
}

// TestPoliciesThatWin are stronger than the queue's arguments.
func TestPoliciesThatWin(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		set := func(definition wire.Table) {
			b.SetPolicy(Policy{Name: "p", Pattern: "", ApplyTo: "queues", Definition: definition})
		}
		const declare = "a1 queue.declare Queue=s Durable Arguments={x-queue-type=stream x-max-length-bytes=1 x-stream-max-segment-size-bytes=1}"
		set(wire.Table{"max-length-bytes": int64(10)})
		say(declare)
		for range 20 {
			say(`a1 basic.publish RoutingKey=s Body="1"`)
		}
		if q, _ := b.Queue("s"); q.Ready < 10 {
			t.Errorf("the stream has %d messages, want those of 10 octets", q.Ready)
		}
		say("a1 queue.declare Queue=q Durable Arguments={x-queue-type=quorum x-max-length=1 x-overflow=drop-head}", "a1 confirm.select")
		set(wire.Table{"overflow": "reject-publish"})
		expect(t, say(`a1 basic.publish RoutingKey=q Body="1"`, `a1 basic.publish RoutingKey=q Body="2"`, `a1 basic.publish RoutingKey=q Body="3"`),
			"a1 confirms acked=[1 2] nacked=[3]")
	})
}

// TestDeliveryLimitsOfPolicies combines the limit of a queue with that of a policy; a negative one is none.
func TestDeliveryLimitsOfPolicies(t *testing.T) {
	for _, tc := range []struct{ argument, policy, want int }{
		{3, 2, 3}, {2, 3, 3}, {-1, 2, 3}, {2, -1, 3}, {-1, -1, 0},
	} {
		inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
			b.SetPolicy(Policy{Name: "p", Pattern: "", ApplyTo: "queues", Definition: wire.Table{"delivery-limit": int64(tc.policy)}})
			say("a1 queue.declare Queue=q Durable Arguments={x-queue-type=quorum x-delivery-limit="+strconv.Itoa(tc.argument)+"}",
				`a1 basic.publish RoutingKey=q Body="1"`)
			got := 0
			for tag := 1; tag <= 5; tag++ {
				if line := say("a1 basic.get Queue=q"); !strings.Contains(line[0], "get-ok") {
					break
				}
				got++
				say("a1 basic.reject Requeue DeliveryTag=" + strconv.Itoa(tag))
			}
			if tc.want == 0 {
				tc.want = 5 // as often as it was asked for
			}
			if got != tc.want {
				t.Errorf("argument %d, policy %d: delivered %d times, want %d", tc.argument, tc.policy, got, tc.want)
			}
		})
	}
}

func TestPoliciesOfTimeAndExchanges(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable", "a1 exchange.declare Exchange=x Type=direct Durable", "a1 queue.bind Queue=q Exchange=amq.fanout")
		b.SetPolicy(Policy{Name: "alt", Pattern: "^x$", Definition: wire.Table{"alternate-exchange": "amq.fanout"}})
		b.SetPolicy(Policy{Name: "time", Pattern: "^q$", Definition: wire.Table{"message-ttl": int64(1000), "expires": int64(5000)}})
		say(`a1 basic.publish Exchange=x RoutingKey=nowhere Body="1"`)
		if q, _ := b.Queue("q"); q.Ready != 1 {
			t.Errorf("%d messages by the alternate exchange", q.Ready)
		}
		say("sleep 2s")
		if q, ok := b.Queue("q"); !ok || q.Ready != 0 {
			t.Errorf("%v, %d messages after their time", ok, q.Ready)
		}
		say("sleep 4s")
		if _, ok := b.Queue("q"); ok {
			t.Error("the queue outlives its time")
		}
	})
}

func TestStreamFilter(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable Arguments={x-queue-type=stream}",
			`a1 basic.publish RoutingKey=q Headers={x-stream-filter-value=eu} Body="1"`,
			`a1 basic.publish RoutingKey=q Headers={x-stream-filter-value=us} Body="2"`,
			`a1 basic.publish RoutingKey=q Body="3"`)
		bodies := func(arguments string) string {
			var all strings.Builder
			for _, line := range say("b1 basic.qos PrefetchCount=10", "b1 basic.consume Queue=q Arguments={x-stream-offset=first "+arguments+"}") {
				if n := len(line); line[n-1] == '"' {
					all.WriteString(line[n-2 : n-1])
				}
			}
			return all.String()
		}
		for arguments, want := range map[string]string{
			"":                        "123",
			"x-stream-filter=eu":      "1",
			"x-stream-filter=[eu us]": "12",
			"x-stream-filter=us x-stream-match-unfiltered=true": "23",
		} {
			if got := bodies(arguments); got != want {
				t.Errorf("%s: %s, want %s", arguments, got, want)
			}
		}
	})
}
