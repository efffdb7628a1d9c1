package brokertest

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// TestFaultsAtAnOctet has something happen in the middle of a frame, in each direction.
func TestFaultsAtAnOctet(t *testing.T) {
	const ask, answer = "a1 queue.declare Queue=q Passive", "a1 queue.declare-ok Queue=q"
	for name, c := range map[string]struct {
		fault         func(*Link)
		early         []string // what comes within a second
		resumed, late []string // and when stalls end, and within a minute
		left          int      // links
	}{
		"stall of sending":         {func(l *Link) { l.StallAfterSending(5) }, nil, []string{answer}, nil, 1},
		"stall of receiving":       {func(l *Link) { l.StallAfterReceiving(5) }, nil, []string{answer}, nil, 1},
		"stall behind the frame":   {func(l *Link) { l.StallAfterSending(22) }, []string{answer}, nil, nil, 1},
		"delay of sending":         {func(l *Link) { l.DelayAfterSending(5, 10*time.Second) }, nil, nil, []string{answer}, 1},
		"delay of receiving":       {func(l *Link) { l.DelayAfterReceiving(5, 10*time.Second) }, nil, nil, []string{answer}, 1},
		"half-open when sending":   {func(l *Link) { l.HalfOpenAfterSending(5) }, nil, nil, nil, 0},
		"half-open when receiving": {func(l *Link) { l.HalfOpenAfterReceiving(5) }, nil, nil, nil, 0},
		"the last order counts":    {func(l *Link) { l.CutAfterSending(5); l.StallAfterSending(5) }, nil, []string{answer}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
				say("a1 queue.declare Queue=q Durable")
				l := b.Links()[0]
				c.fault(l)
				expect(t, say(ask, "sleep 1s"), c.early...)
				l.Resume()
				expect(t, say("sleep 1s"), c.resumed...)
				expect(t, say("sleep 1m"), c.late...)
				if n := len(b.Links()); n != c.left {
					t.Errorf("%d links are left, want %d", n, c.left)
				}
			})
		})
	}
}

// TestEndIsNoReset ends connections as a broker does that is killed: what was sent before arrives, then io.EOF.
func TestEndIsNoReset(t *testing.T) {
	ends := map[string]func(*Broker){
		"of a link":  func(b *Broker) { b.Links()[0].End() },
		"on receive": func(b *Broker) { b.OnReceive(wire.MethodChannelOpen, Always(End)) },
		"on send":    func(b *Broker) { b.OnSend(wire.MethodChannelOpenOk, Always(End)) },
		"of a frame": func(b *Broker) {
			b.OnSendFrame(func(f Frame) Action { return map[bool]Action{true: End}[f.Channel == 1] })
		},
		"not a reset": nil,
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
				nc, err := b.DialContext(t.Context(), "tcp", "")
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = nc.Close() }()
				if end == nil {
					b.Cut()
				} else {
					end(b)
				}
				go func() {
					head, last := opening(), methods(&wire.ChannelOpen{})
					_, _ = nc.Write(head[:len(head)-len(last)])
					synctest.Wait()
					_, _ = nc.Write(last)
				}()
				got, err := io.ReadAll(nc)
				if clean := err == nil; clean != (end != nil) {
					t.Errorf("the connection ended with %v behind %d octets", err, len(got))
				}
				if want := name != "of a link" && end != nil; want != (len(got) > 0) {
					t.Errorf("%d octets came before the end", len(got))
				}
				if n := len(b.Links()); n != 0 {
					t.Errorf("%d links are left", n)
				}
			})
		})
	}
}

// TestEndOverASocket ends a connection where there is a real network.
func TestEndOverASocket(t *testing.T) {
	b := New(t)
	nc, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	b.OnSend(wire.MethodConnectionTune, Always(End))
	go func() { _, _ = nc.Write(opening()[:8]) }()
	var in rawReader
	buf := make([]byte, 1<<12)
	for answered := false; ; {
		n, err := nc.Read(buf)
		if len(in.feed(buf[:n])) > 0 && !answered { // connection.start
			answered = true
			_, _ = nc.Write(startOkFrame())
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("the connection ended with %v, want io.EOF", err)
		}
	}
}

func startOkFrame() []byte {
	b, _ := wire.AppendMethod(nil, 0, &wire.ConnectionStartOk{Mechanism: "PLAIN", Response: wire.Secret("\x00guest\x00guest"), Locale: "en_US"})
	return b
}
