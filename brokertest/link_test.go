package brokertest

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

func TestLinkCutAfterSending(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		b.OnConnect(func(l *Link) { l.CutAfterSending(100) })
		nc, err := b.DialContext(t.Context(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
		_, _ = nc.Write([]byte(wire.ProtocolHeader))
		if _, octets, err := readToEnd(nc); octets != 100 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%d octets of connection.start, then %v", octets, err)
		}
		if n := len(b.Links()); n != 0 {
			t.Errorf("%d links are left", n)
		}
	})
}

func TestLinkCutAfterReceiving(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		b.Links()[0].CutAfterReceiving(5)
		say(`a1 basic.publish RoutingKey=q Body="1"`)
		got := say()
		if q, _ := b.Queue("q"); q.Ready != 0 || len(b.Links()) != 0 {
			t.Errorf("%d messages; %q", q.Ready, got)
		}
	})
}

func TestLinkStalls(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		l := b.Links()[0]
		l.StallSending()
		expect(t, say("a1 queue.declare Queue=q Passive"))
		l.Resume()
		expect(t, say(), "a1 queue.declare-ok Queue=q")
		l.StallReceiving()
		expect(t, say("a1 queue.declare Queue=q Passive", "sleep 1h"))
		l.Resume()
		expect(t, say(), "a1 queue.declare-ok Queue=q")
	})
}

func TestLinkStallEndsWithHeartbeats(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say(loginLines...)
		say("a0 connection.tune-ok FrameMax=131072 ChannelMax=10 Heartbeat=10", "a0 connection.open VirtualHost=/")
		b.Links()[0].StallReceiving()
		say("sleep 31s")
		if n := len(b.Links()); n != 0 {
			t.Errorf("%d links after three intervals of silence", n)
		}
	})
}

func TestLinkSliceAndDelay(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		l := b.Links()[0]
		l.Slice(1)
		expect(t, say("a1 queue.declare Queue=q Passive"), "a1 queue.declare-ok Queue=q")
		l.Delay(time.Second)
		start := time.Now()
		expect(t, say("a1 queue.declare Queue=q Passive"))
		expect(t, say("sleep 1m"), "a1 queue.declare-ok Queue=q")
		if d := time.Since(start); d < 20*time.Second {
			t.Errorf("one octet a second took %v", d)
		}
	})
}

func TestHalfOpen(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Exclusive")
		b.Links()[0].HalfOpen()
		expect(t, say("a1 queue.declare Queue=q Passive", "sleep 1h"))
		if len(b.Queues()) != 0 || len(b.Connections()) != 0 {
			t.Error("the broker still knows the connection")
		}
	})
}

func TestLinkReset(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable", "b1 queue.declare Queue=q Passive")
		b.Links()[0].Reset()
		expect(t, say(), "a end")
	})
}

// TestFaultsOverSockets runs the faults of links where there is a real network, and no bubble.
func TestFaultsOverSockets(t *testing.T) {
	b := New(t)
	for _, fault := range []func(*Link){
		func(l *Link) { l.Reset() }, func(l *Link) { l.CutAfterReceiving(3) }, func(l *Link) { l.HalfOpen() },
		func(l *Link) { l.StallReceiving() }, func(l *Link) { l.StallSending() },
	} {
		p := newTalk(t, b)
		p.dial = func() (net.Conn, error) { return net.Dial("tcp", b.Addr()) }
		p.settle = settleByTime
		if got := strings.Join(p.say("a1 queue.declare Queue=q Durable"), "\n"); got != "a1 queue.declare-ok Queue=q" {
			t.Fatal(got)
		}
		fault(b.Links()[len(b.Links())-1])
		_ = p.send("a1 queue.declare Queue=q Durable") // into a connection that may be gone
		clear(p.asked)                                 // and that may not answer
		p.settle(p.player)
		p.hangup()
	}
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroker()
		p := newTalk(t, b)
		for _, line := range []string{"a1 queue.declare Queue=q Durable", "b dial", "c dial", "c header"} {
			p.say(line)
		}
		b.Links()[0].StallSending()
		b.Links()[1].StallReceiving()
		b.Close()
		b.Close()
		p.hangup()
	})
}
