package brokertest

import (
	"net"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

func TestConsumerTimeoutClosesTheChannelBefore43(t *testing.T) {
	for _, version := range []string{"4.0", "3.10"} {
		inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) { ackTimeout(t, say) },
			WithVersion(version), WithConsumerTimeout(time.Second))
	}
}

// ackTimeout is what a broker before RabbitMQ 4.3 does that lets a delivery wait for a second.
func ackTimeout(t *testing.T, say func(...string) []string) {
	say("a1 queue.declare Queue=q Durable", `a1 basic.publish RoutingKey=q Body="1"`, "a1 basic.consume Queue=q ConsumerTag=c")
	expect(t, say("sleep 2s", "await 1"), `a1 channel.close ReplyCode=406 ReplyText="PRECONDITION_FAILED - delivery acknowledgement on channel 1`+
		` timed out. Timeout value used: 1000 ms. This timeout value can be configured, see consumers doc guide to learn more"`)
	expect(t, say("a1 channel.close-ok", "a2 basic.get Queue=q NoAck"), `a2 basic.get-ok DeliveryTag=1 Redelivered RoutingKey=q Body="1"`)
}

// quorumPrefetch has a consumer without a limit get what a quorum queue holds.
func quorumPrefetch(t *testing.T, say func(...string) []string) {
	const limit = 2000
	lines := []string{"a1 queue.declare Queue=q Durable Arguments={x-queue-type=quorum}", "a1 confirm.select"}
	for range limit + 10 {
		lines = append(lines, `a1 basic.publish RoutingKey=q Body="1"`)
	}
	say(lines...)
	say("b1 basic.qos") // when the broker has all
	got := slices.DeleteFunc(say("b1 basic.consume Queue=q ConsumerTag=c", "await "+strconv.Itoa(limit+1)),
		func(line string) bool { return !strings.HasPrefix(line, "b1 basic.deliver ") })
	if len(got) != limit {
		t.Fatalf("%d messages have come, want %d", len(got), limit)
	}
	expect(t, say("b1 basic.ack DeliveryTag=2", "b1 basic.ack DeliveryTag=3", "await 2"),
		`b1 basic.deliver ConsumerTag=c DeliveryTag=2001 RoutingKey=q Body="1"`, `b1 basic.deliver ConsumerTag=c DeliveryTag=2002 RoutingKey=q Body="1"`)
	if got := say("c1 basic.consume Queue=q ConsumerTag=d NoAck", "await 9"); len(got) != 9 {
		t.Errorf("%d came to another one, with consume-ok, want 9", len(got))
	}
}

func TestQuorumPrefetch(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) { quorumPrefetch(t, say) })
}

// TestNacksLookAsRabbitMQsDo looks at the flags of a publisher's nack.
func TestNacksLookAsRabbitMQsDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTalk(t, New(t))
		defer p.hangup()
		p.say("a1 confirm.select", "a1 queue.declare Queue=q Durable Arguments={x-max-length=0 x-overflow=reject-publish}")
		if err := p.send(`a1 basic.publish RoutingKey=q Body="1"`); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got, _ := p.clients["a"].take()
		if len(got) != 1 || !reflect.DeepEqual(got[0].method, &wire.BasicNack{DeliveryTag: 1, Requeue: true}) {
			t.Errorf("%+v", got)
		}
	})
}

func TestConsumerTimeoutLeavesClassicQueuesAloneSince43(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable", `a1 basic.publish RoutingKey=q Body="1"`, "a1 basic.consume Queue=q ConsumerTag=c")
		expect(t, say("sleep 10h"))
	}, WithConsumerTimeout(time.Minute))
}

// TestConsumerTimeoutIsRepeated lets a consumer time out, settle, and time out again.
func TestConsumerTimeoutIsRepeated(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable Arguments={x-queue-type=quorum}", `a1 basic.publish RoutingKey=q Body="1"`,
			"a1 basic.qos PrefetchCount=1", "a1 basic.consume Queue=q ConsumerTag=c")
		for tag := range 3 {
			expect(t, say("sleep 61s"), "a1 basic.cancel ConsumerTag=c NoWait")
			got := say("a1 basic.ack DeliveryTag=" + string(rune('1'+tag)))
			if len(got) != 1 || !strings.HasPrefix(got[0], "a1 basic.deliver ConsumerTag=c DeliveryTag="+string(rune('2'+tag))+" Redelivered") {
				t.Errorf("after the late ack: %q", got)
			}
		}
	}, WithConsumerTimeout(time.Minute))
}

func TestUpdateSecretCancelsWhatIsNoLongerAllowed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=mine Durable", "a1 queue.declare Queue=yours Durable",
			"a1 basic.consume Queue=mine ConsumerTag=m", "a1 basic.consume Queue=yours ConsumerTag=y")
		b.SetPermissions("guest", "/", "^mine$", "^mine$", "^mine$")
		expect(t, say("a0 connection.update-secret NewSecret=guest"),
			"a0 connection.update-secret-ok", "a1 basic.cancel ConsumerTag=y NoWait")
		if cs := b.Consumers(); len(cs) != 1 || cs[0].Tag != "m" {
			t.Errorf("consumers %+v", cs)
		}
	})
}

func TestUpdateSecretWhenTheVirtualHostIsClosed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		b.SetPermissions("guest", "other", ".*", ".*", ".*")
		expect(t, say("a0 connection.update-secret NewSecret=guest"),
			`a0 connection.close ReplyCode=530 ReplyText="NOT_ALLOWED - access to vhost '/' refused for user 'guest'" ClassID=10 MethodID=70`)
	})
}

func TestVirtualHostsAreApart(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		other := newTalk(t, b)
		other.vhost = "other"
		defer other.hangup()
		expect(t, other.say("b1 queue.declare Queue=q Passive"),
			`b1 channel.close ReplyCode=404 ReplyText="NOT_FOUND - no queue 'q' in vhost '/'" ClassID=50 MethodID=10`) // shown as "/"
		other.say("b2 queue.declare Queue=r Durable")
		var got []string
		for _, q := range b.Queues() {
			got = append(got, q.VHost+" "+q.Name)
		}
		expect(t, got, "/ q", "other r")
	}, WithVHost("other"))
}

func TestUsers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		b.SetPassword("ann", "secret")
		for _, login := range [][2]string{{"ann", "secret"}, {"bob", "pw"}} {
			p := newTalk(t, b)
			p.login = login
			expect(t, p.say("b1 basic.publish RoutingKey=x UserID="+login[0]+` Body="1"`))
			p.hangup()
		}
	}, WithUser("bob", "pw"))
}

// TestSlowConsumerHoldsNobodyUp has a client that consumes without acknowledging and does not read: the
// backlog to it is bounded, and others are served.
func TestSlowConsumerHoldsNobodyUp(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		expect(t, say("b1 basic.consume Queue=q ConsumerTag=c NoAck"), "b1 basic.consume-ok ConsumerTag=c")
		b.Links()[1].StallSending()
		body := strings.Repeat("x", 100000)
		for range 100 {
			say(`a1 basic.publish RoutingKey=q Body="` + body + `"`)
		}
		if q, _ := b.Queue("q"); q.Ready < 50 {
			t.Errorf("%d messages wait in the queue, the others in the backlog", q.Ready)
		}
		expect(t, say("a1 queue.declare Queue=r Durable"), "a1 queue.declare-ok Queue=r")
		b.Links()[1].Resume()
		if got := say(); len(got) != 100 {
			t.Errorf("%d messages came in the end", len(got))
		}
	})
}

// TestNoGoroutineIsLeft opens and ends connections over sockets in every way, many times.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	b := NewBroker()
	for i := range 50 {
		nc, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = nc.Write(opening()[:min(i*4, len(opening()))])
		switch i % 3 {
		case 0:
			_ = nc.Close()
		case 1:
			b.Cut()
		case 2:
			defer func() { _ = nc.Close() }()
		}
	}
	b.Close()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

func TestListen(t *testing.T) {
	b := New(t)
	if err := b.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := b.Listen("127.0.0.1:0"); err == nil {
		t.Error("a second listener")
	}
	if addr := b.Addr(); strings.HasSuffix(addr, ":0") {
		t.Errorf("address %s", addr)
	}
}
