package faultproxy_test

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/faultproxy"
)

// patience bounds every wait that a correct proxy ends much earlier.
const patience = 10 * time.Second

// silence is how long a test listens to believe that nothing comes.
const silence = 30 * time.Millisecond

// listen returns a listener on 127.0.0.1 that ends with the test.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// echoServer returns the address of a server that sends back what it gets,
// preceded by greeting.
func echoServer(t *testing.T, greeting string) string {
	t.Helper()
	l := listen(t)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { echo(conn, greeting) })
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return l.Addr().String()
}

func echo(conn net.Conn, greeting string) {
	defer conn.Close()
	if _, err := io.WriteString(conn, greeting); err == nil {
		_, _ = io.Copy(conn, conn)
	}
}

// newProxy returns a proxy that ends before the servers behind it.
func newProxy(t *testing.T, upstream string) *faultproxy.Proxy {
	t.Helper()
	p, err := faultproxy.New(upstream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// dial returns a connection to addr whose every wait is bounded.
func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	return bounded(t, conn)
}

// pair returns the two ends of a connection through a new proxy.
func pair(t *testing.T) (p *faultproxy.Proxy, client, upstream *net.TCPConn) {
	t.Helper()
	l := listen(t)
	p = newProxy(t, l.Addr().String())
	client = dial(t, p.Addr())
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	upstream = bounded(t, conn)
	send(t, client, "x") // the upstream may accept before the proxy knows
	expect(t, upstream, "x")
	return p, client, upstream
}

func bounded(t *testing.T, conn net.Conn) *net.TCPConn {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func send(t *testing.T, conn net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(conn, s); err != nil {
		t.Fatalf("sending %q: %v", s, err)
	}
}

func expect(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("received %q, %v; want %q", got[:n], err, want)
	}
}

// expectSilence fails if anything comes, the end of the stream included.
func expectSilence(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(silence))
	defer conn.SetReadDeadline(time.Now().Add(patience))
	var b [1]byte
	if n, err := conn.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("received %q, %v; want silence", b[:n], err)
	}
}

// expectReset reads to the end, which must be a reset, and returns what came before.
func expectReset(t *testing.T, conn net.Conn) string {
	t.Helper()
	got, err := io.ReadAll(conn)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("received %q, %v; want a connection reset", got, err)
	}
	return string(got)
}
