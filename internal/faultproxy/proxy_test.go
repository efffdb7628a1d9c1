package faultproxy_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

func TestForwardsBothWaysAndTheEndOfEach(t *testing.T) {
	_, client, upstream := pair(t)
	send(t, client, "ping")
	expect(t, upstream, "ping")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(upstream); err != nil || len(rest) > 0 {
		t.Fatalf("upstream read %q, %v; want the end", rest, err)
	}
	send(t, upstream, "pong") // the other way is still open
	upstream.Close()
	if got, err := io.ReadAll(client); err != nil || string(got) != "pong" {
		t.Fatalf("client read %q, %v; want pong and the end", got, err)
	}
}

func TestAddressStaysWhileTheUpstreamChanges(t *testing.T) {
	p := newProxy(t, echoServer(t, "one"))
	addr := p.Addr()
	old := dial(t, addr)
	expect(t, old, "one")
	p.SetUpstream(echoServer(t, "two"))
	expect(t, dial(t, addr), "two")
	send(t, old, "still here")
	expect(t, old, "still here")
	if p.Addr() != addr {
		t.Errorf("address is now %s, was %s", p.Addr(), addr)
	}
}

func TestUnreachableUpstreamResetsTheClient(t *testing.T) {
	gone := listen(t)
	gone.Close()
	p := newProxy(t, gone.Addr().String())
	conn, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err == nil { // the reset may come during the dial already
		expectReset(t, bounded(t, conn))
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	p.SetUpstream(echoServer(t, "back"))
	expect(t, dial(t, p.Addr()), "back")
}

func TestRefuseClosesNewConnectionsOnly(t *testing.T) {
	p := newProxy(t, echoServer(t, "hello"))
	old := dial(t, p.Addr())
	expect(t, old, "hello")

	p.Refuse(true)
	if got, err := io.ReadAll(dial(t, p.Addr())); err != nil || len(got) > 0 {
		t.Errorf("refused connection read %q, %v; want its end", got, err)
	}
	send(t, old, "x")
	expect(t, old, "x")

	p.Refuse(false)
	expect(t, dial(t, p.Addr()), "hello")
}

func TestConnsCountsOpenConnections(t *testing.T) {
	p := newProxy(t, echoServer(t, "hello"))
	var open []net.Conn
	for n := range 3 {
		conn := dial(t, p.Addr())
		expect(t, conn, "hello")
		open = append(open, conn)
		if got := p.Conns(); got != n+1 {
			t.Errorf("%d connections counted, want %d", got, n+1)
		}
	}
	for _, conn := range open {
		conn.Close()
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); p.Conns() > 0; {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%d connections counted after all were closed", p.Conns())
		}
	}
}

func TestCloseEndsWhateverIsUnderWay(t *testing.T) {
	for name, stall := range map[string]func(t *testing.T, s stalled){
		"idle":    func(*testing.T, stalled) {},
		"paused":  func(t *testing.T, s stalled) { s.proxy.Pause(both); send(t, s.client, "held") },
		"delayed": func(t *testing.T, s stalled) { s.proxy.Latency(time.Hour, 0); send(t, s.client, "held") },
		"slow":    func(t *testing.T, s stalled) { s.proxy.Bandwidth(1); send(t, s.client, "held") },
		"unread":  func(t *testing.T, s stalled) { fill(t, s.client) },
	} {
		t.Run(name, func(t *testing.T) {
			p, client, upstream := pair(t)
			stall(t, stalled{p, client})
			p.Close()
			if n := p.Conns(); n != 0 {
				t.Errorf("%d connections after Close", n)
			}
			expectReset(t, client)
			expectReset(t, upstream)
			if conn, err := net.Dial("tcp", p.Addr()); err == nil {
				conn.Close()
				t.Error("a closed proxy accepts connections")
			}
			p.Close() // once more is harmless
		})
	}
}

func TestNewNeedsNoUpstream(t *testing.T) {
	p := newProxy(t, "127.0.0.1:1")
	if host, port, err := net.SplitHostPort(p.Addr()); err != nil || host != "127.0.0.1" || port == "0" {
		t.Errorf("address %q, want a port of 127.0.0.1", p.Addr())
	}
}
