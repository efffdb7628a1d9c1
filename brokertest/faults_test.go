package brokertest

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/internal/docker"
)

func TestCut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable", "a1 queue.declare Queue=mine Exclusive", "a1 basic.publish RoutingKey=q Body=\"1\"")
		say("b1 basic.consume Queue=q ConsumerTag=c")
		if n := b.Cut(); n != 2 {
			t.Errorf("cut %d connections, want 2", n)
		}
		expect(t, say(), "a end", "b end")
		if n := len(b.Connections()); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		expect(t, say("c1 basic.get Queue=q", "c1 queue.declare Queue=mine Passive"),
			`c1 basic.get-ok DeliveryTag=1 Redelivered RoutingKey=q Body="1"`,
			`c1 channel.close ReplyCode=404 ReplyText="NOT_FOUND - no queue 'mine' in vhost '/'" ClassID=50 MethodID=10`)
	})
}

func TestCloseConnections(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		b.CloseConnections(320, "CONNECTION_FORCED - maintenance")
		expect(t, say(), `a0 connection.close ReplyCode=320 ReplyText="CONNECTION_FORCED - maintenance"`)
		expect(t, say("a1 basic.publish RoutingKey=q Body=\"1\"", "a0 connection.close-ok"), "a end")
		if q, _ := b.Queue("q"); q.Ready != 0 {
			t.Error("a publish behind the close has arrived")
		}
	})
}

func TestCloseConnectionsWithoutAnAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		b.CloseConnections(320, "CONNECTION_FORCED - maintenance")
		say()
		expect(t, say("sleep 11s"), "a end")
	})
}

func TestCloseChannels(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable", "a2 queue.declare Queue=q Passive")
		if n := b.CloseChannels(406, "PRECONDITION_FAILED - no reason"); n != 2 {
			t.Errorf("closed %d channels, want 2", n)
		}
		expect(t, say(),
			`a1 channel.close ReplyCode=406 ReplyText="PRECONDITION_FAILED - no reason"`,
			`a2 channel.close ReplyCode=406 ReplyText="PRECONDITION_FAILED - no reason"`)
		expect(t, say("a1 channel.close-ok", "a1 channel.open"), "a1 channel.open-ok")
	})
}

func TestCancelConsumer(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable", "a1 basic.consume Queue=q ConsumerTag=c")
		if n := b.CancelConsumer("c"); n != 1 {
			t.Errorf("cancelled %d consumers, want 1", n)
		}
		expect(t, say(), "a1 basic.cancel ConsumerTag=c NoWait")
		expect(t, say("a1 basic.publish RoutingKey=q Body=\"1\""))
	})
}

func TestBlock(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		block(t, say, func() { b.Block("low on memory") }, b.Unblock)
	})
}

// block is what every broker does that is short of memory.
func block(t *testing.T, say func(...string) []string, alarm, calm func()) {
	say("a1 queue.declare Queue=q Durable")
	say("b1 queue.declare Queue=q Passive")
	alarm()
	expect(t, say())
	expect(t, say(`a1 basic.publish RoutingKey=q Body="1"`, "await 1"), `a0 connection.blocked Reason="low on memory"`)
	expect(t, say("a1 channel.flow Active", "b1 channel.flow Active"), "b1 channel.flow-ok Active")
	calm()
	expect(t, say("await 2"), "a0 connection.unblocked", "a1 channel.flow-ok Active")
	expect(t, say("b1 basic.get Queue=q NoAck"), `b1 basic.get-ok DeliveryTag=1 RoutingKey=q Body="1"`)
}

// topicPermissions takes a broker whose user may write a.* and read *.b of amq.topic, in a virtual host that
// it is to call "/".
func topicPermissions(t *testing.T, version string, say func(...string) []string) {
	refused := func(what, key, method string) string {
		if what += " "; strings.HasPrefix(version, "3.") {
			what = ""
		}
		return `a1 channel.close ReplyCode=403 ReplyText="ACCESS_REFUSED - ` + what + "access to topic '" + key +
			"' in exchange 'amq.topic' in vhost '/' refused for user 'guest'\" " + method
	}
	say("a1 queue.declare Queue=q Durable")
	expect(t, say("a1 queue.bind Queue=q Exchange=amq.topic RoutingKey=a.b"), "a1 queue.bind-ok")
	say(`a1 basic.publish Exchange=amq.topic RoutingKey=a.b Body="1"`)
	expect(t, say("a1 basic.get Queue=q NoAck"), `a1 basic.get-ok DeliveryTag=1 Exchange=amq.topic RoutingKey=a.b Body="1"`)
	expect(t, say(`a1 basic.publish Exchange=amq.topic RoutingKey=b.b Body="1"`, "await 1"), refused("write", "b.b", "ClassID=60 MethodID=40"))
	say("a1 channel.close-ok", "a1 channel.open")
	for _, header := range []string{"CC", "BCC"} {
		copies := say("a1 basic.publish Exchange=amq.topic RoutingKey=a.b Headers={"+header+`=[a.c b.b]} Expiration="60000" Body="1"`, "a1 basic.qos")
		if strings.HasPrefix(version, "3.") { // it looks at the first key alone
			expect(t, copies, "a1 basic.qos-ok")
			continue
		}
		expect(t, copies, refused("write", "b.b", "ClassID=60 MethodID=40"))
		say("a1 channel.close-ok", "a1 channel.open")
	}
	expect(t, say(`a1 basic.publish Exchange=amq.topic RoutingKey=b.b Expiration=never Body="1"`, "await 1"), // which is found first
		map[bool]string{true: refused("write", "b.b", "ClassID=60 MethodID=40"), false: "a1 channel.close ReplyCode=406 " +
			`ReplyText="PRECONDITION_FAILED - invalid expiration 'never': no_integer" ClassID=60 MethodID=40`}[strings.HasPrefix(version, "3.")])
	say("a1 channel.close-ok", "a1 channel.open")
	expect(t, say("a1 queue.bind Queue=q Exchange=amq.topic RoutingKey=a.a"), refused("read", "a.a", "ClassID=50 MethodID=20"))
	say("a1 channel.close-ok", "a1 channel.open")
	expect(t, say("a1 queue.unbind Queue=q Exchange=amq.topic RoutingKey=a.a"), refused("read", "a.a", "ClassID=50 MethodID=50"))
}

func TestTopicPermissions(t *testing.T) {
	for _, version := range docker.Versions {
		inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
			b.SetTopicPermissions("guest", "/", "amq.topic", `^a\.`, `\.b$`)
			topicPermissions(t, version, say)
		}, WithVersion(version))
	}
}

func TestCloseWhileBlocked(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		b.Block("low on memory")
		say("a1 basic.publish RoutingKey=q Body=\"1\"")
	})
}

// TestACloseIsAnsweredWhileBlocked closes connections that are not read from: RabbitMQ then reads the answer, and waits no
// longer for it than for others'.
func TestACloseIsAnsweredWhileBlocked(t *testing.T) {
	for name, end := range map[string]func(*Broker){
		"shutdown": func(b *Broker) { b.Stop(Shutdown) },
		"operator": func(b *Broker) { b.CloseConnections(320, "CONNECTION_FORCED - maintenance") },
	} {
		for _, answered := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, answered %v", name, answered), func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
					say("a1 queue.declare Queue=q Durable")
					b.Block("low on memory")
					say(`a1 basic.publish RoutingKey=q Body="1"`, `a1 basic.publish RoutingKey=q Body="2"`)
					end(b)
					if got := say(); len(got) != 1 || !strings.HasPrefix(got[0], "a0 connection.close ReplyCode=320") {
						t.Errorf("%q", got)
					}
					if answered {
						expect(t, say("a0 connection.close-ok"), "a end")
					} else {
						expect(t, say("sleep 9s"))
						expect(t, say("sleep 2s"), "a end")
					}
					b.Start()
					b.Unblock()
				})
			})
		}
	}
}

func TestRestartKeepsWhatIsDurable(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable", "a1 queue.declare Queue=r", "a1 exchange.declare Exchange=x Type=fanout Durable",
			"a1 exchange.declare Exchange=y Type=fanout", "a1 queue.bind Queue=q Exchange=x", "a1 queue.bind Queue=q Exchange=y",
			`a1 basic.publish Exchange=x DeliveryMode=2 Body="1"`, `a1 basic.publish Exchange=x Body="2"`)
		b.Restart()
		expect(t, say(), "a end")
		qs := b.Queues()
		if len(qs) != 1 || qs[0].Name != "q" || qs[0].Ready != 1 {
			t.Errorf("queues after the restart: %+v", qs)
		}
		if bs := b.Bindings(); len(bs) != 1 || bs[0].Source != "x" {
			t.Errorf("bindings after the restart: %+v", bs)
		}
		expect(t, say("b1 basic.get Queue=q"), `b1 basic.get-ok DeliveryTag=1 Exchange=x DeliveryMode=2 Body="1"`)
	})
}

func TestRestartForgets(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		b.Restart(Forget)
		if n := len(b.Queues()); n != 0 {
			t.Errorf("%d queues are left", n)
		}
	})
}

func TestShutdown(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		b.Stop(Shutdown)
		expect(t, say(), `a0 connection.close ReplyCode=320 ReplyText="CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"`)
		expect(t, say("a0 connection.close-ok"), "a end")
		if _, err := b.DialContext(t.Context(), "tcp", "x:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialling a stopped broker: %v", err)
		}
		b.Start()
		expect(t, say("b1 queue.declare Queue=q Passive"), "b1 queue.declare-ok Queue=q")
	})
}

func TestDenyLogin(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		b.DenyLogin("guest")
		expect(t, say(loginLines...)[1:],
			`a0 connection.close ReplyCode=403 ReplyText="ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile."`)
		b.AllowLogin("guest")
		expect(t, say("b1 queue.declare Queue=q Durable"), "b1 queue.declare-ok Queue=q")
	})
}

// loginLines log in by hand.
var loginLines = []string{"a dial", "a header",
	`a0 connection.start-ok ClientProperties={capabilities={authentication_failure_close=true}} Mechanism=PLAIN Response="\x00guest\x00guest"`}

func TestPermissions(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		b.SetPermissions("guest", "/", "^mine", "^mine", "^mine")
		expect(t, say("a1 queue.declare Queue=mine Durable", "a1 queue.declare Queue=yours Durable"),
			"a1 queue.declare-ok Queue=mine",
			`a1 channel.close ReplyCode=403 ReplyText="ACCESS_REFUSED - configure access to queue 'yours' in vhost '/' refused for user 'guest'" ClassID=50 MethodID=10`)
		expect(t, say("a2 basic.publish RoutingKey=mine Body=\"1\""),
			`a2 channel.close ReplyCode=403 ReplyText="ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user 'guest'" ClassID=60 MethodID=40`)
		b.ClearPermissions("guest")
		expect(t, say("a3 queue.declare Queue=yours Durable"), "a3 queue.declare-ok Queue=yours")
	})
}

func TestHeartbeats(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say(loginLines...)
		expect(t, say("a0 connection.tune-ok FrameMax=131072 ChannelMax=10 Heartbeat=10", "a0 connection.open VirtualHost=/"), "a0 connection.open-ok")
		got := say("sleep 29s")
		if n := strings.Count(strings.Join(got, "\n"), "heartbeat"); n != 5 || len(got) != 5 {
			t.Errorf("in 29 s: %q", got)
		}
		got = say("sleep 2s")
		if got[len(got)-1] != "a end" {
			t.Errorf("after three intervals of silence: %q", got)
		}
	})
}

func TestLocalListener(t *testing.T) {
	b := New(t)
	if addr := b.Addr(); !strings.Contains(b.URL(), addr) || addr != b.Addr() {
		t.Errorf("URL %s, address %s", b.URL(), addr)
	}
	b.Restart()
	if nc, err := net.Dial("tcp", b.Addr()); err != nil {
		t.Error(err)
	} else {
		_ = nc.Close()
	}
}

func TestInspection(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable Arguments={x-max-length=10}", "a1 queue.bind Queue=q Exchange=amq.topic RoutingKey=k",
			"a1 basic.publish RoutingKey=q Body=\"1\"", "a1 basic.publish RoutingKey=q Body=\"2\"", "a2 basic.qos PrefetchCount=1", "a2 basic.consume Queue=q ConsumerTag=c")
		synctest.Wait()
		q, ok := b.Queue("q")
		if !ok || q.Type != "classic" || !q.Durable || q.Ready != 1 || q.Unacked != 1 || q.Consumers != 1 || q.Arguments["x-max-length"] != int32(10) {
			t.Errorf("queue %+v", q)
		}
		if bs := b.Bindings(); len(bs) != 1 || bs[0].Source != "amq.topic" || bs[0].Destination != "q" || bs[0].Key != "k" {
			t.Errorf("bindings %+v", bs)
		}
		if cs := b.Consumers(); len(cs) != 1 || cs[0].Tag != "c" || cs[0].Prefetch != 1 || cs[0].Unacked != 1 || !cs[0].Active || cs[0].Channel != 2 {
			t.Errorf("consumers %+v", cs)
		}
		if cs := b.Connections(); len(cs) != 1 || cs[0].User != "guest" || cs[0].Channels != 2 || cs[0].Unacked != 1 {
			t.Errorf("connections %+v", cs)
		}
		if xs := b.Exchanges(); len(xs) != 7 {
			t.Errorf("exchanges %+v", xs)
		}
	})
}
