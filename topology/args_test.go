package topology_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/warren-mq/warren/topology"
)

func TestArgs(t *testing.T) {
	got := topology.Arguments(
		topology.MessageTTL(90*time.Second), topology.Expires(time.Microsecond), topology.MaxLength(10), topology.MaxLengthBytes(1<<40),
		topology.Overflow(topology.RejectPublish), topology.DeadLetterRoutingKey("dlx", "dead"), topology.DeadLetterAtLeastOnce(),
		topology.DeliveryLimit(-1), topology.SingleActiveConsumer(), topology.MaxPriority(5), topology.MaxAge(1500*time.Millisecond),
		topology.MaxSegmentBytes(500), topology.InitialGroupSize(3), topology.InitialClusterSize(5), topology.LeaderLocator(topology.Balanced),
		topology.ConsumerTimeout(time.Minute), topology.AlternateExchange("other"), topology.Argument("x-own", "v"),
	)
	want := topology.Table{
		"x-message-ttl": int64(90_000), "x-expires": int64(1), "x-max-length": int64(10), "x-max-length-bytes": int64(1 << 40),
		"x-overflow": "reject-publish", "x-dead-letter-exchange": "dlx", "x-dead-letter-routing-key": "dead",
		"x-dead-letter-strategy": "at-least-once", "x-delivery-limit": int64(-1), "x-single-active-consumer": true,
		"x-max-priority": int64(5), "x-max-age": "2s", "x-stream-max-segment-size-bytes": int64(500),
		"x-quorum-initial-group-size": int64(3), "x-initial-cluster-size": int64(5), "x-queue-leader-locator": "balanced",
		"x-consumer-timeout": int64(60_000), "alternate-exchange": "other", "x-own": "v",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestWithLeavesTheOriginal(t *testing.T) {
	base := topology.Queue{Name: "q", Arguments: topology.Table{"x-max-length": 1}}
	more := base.With(topology.MaxLength(2), topology.DeadLetter("dlx"))
	if len(base.Arguments) != 1 || base.Arguments["x-max-length"] != 1 || len(more.Arguments) != 2 {
		t.Errorf("base %v, more %v", base.Arguments, more.Arguments)
	}
}

func ExampleQueue_With() {
	orders := topology.Queue{Name: "orders", Type: topology.Quorum}.With(
		topology.DeliveryLimit(5),
		topology.DeadLetter("dead"),
		topology.Expires(24*time.Hour),
	)
	fmt.Println(orders, orders.Arguments)
	// Output: queue "orders" map[x-dead-letter-exchange:dead x-delivery-limit:5 x-expires:86400000]
}

func ExampleTopology_Validate() {
	t := topology.Topology{Queues: []topology.Queue{
		{Name: "amq.orders"},
		topology.Queue{Name: "log", Type: topology.Stream}.With(topology.MessageTTL(time.Hour)),
	}}
	fmt.Println(t.Validate())
	// Output:
	// queue "amq.orders": Name begins with "amq.", which is reserved; leave it empty to have the broker choose one
	// queue "log": x-message-ttl is not for a stream queue
}
