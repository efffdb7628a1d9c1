package core

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/warren-mq/warren/brokertest"
)

// slowLink passes bytes on to addr at rate bytes a second, and back at once. It holds little itself, so
// that what is under way is in the client's socket.
func slowLink(t *testing.T, addr string, rate int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	noErr(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		client, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = client.Close() }()
		_ = client.(*net.TCPConn).SetReadBuffer(64 << 10)
		server, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer func() { _ = server.Close() }()
		go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := io.CopyN(server, client, int64(rate/50)); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

// A link that moves is not taken for a dead one, though it takes several times each limit to carry what the
// kernel would hold: neither by writes, nor by calls behind a publisher that keeps it busy, nor by closing.
func TestSlowLinkOfTheKernel(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	const limit = time.Second
	cfg := Config{
		Addr: slowLink(t, b.Addr(), 400<<10), WriteTimeout: limit, RPCTimeout: limit, CloseTimeout: limit, Heartbeat: -1,
	}
	conn, err := Dial(bg, cfg)
	noErr(t, err)
	ch, err := conn.Channel(bg)
	noErr(t, err)
	const messages = 12
	_, err = ch.QueueDeclare(bg, QueueDeclare{Queue: "q"})
	noErr(t, err)
	published := async0(func() error {
		for range messages {
			if err := ch.Publish(bg, &Publishing{RoutingKey: "q", Body: make([]byte, 200<<10)}); err != nil {
				return err
			}
		}
		return nil
	})
	running := func() bool {
		select {
		case <-published.done:
			return false
		default:
			return true
		}
	}
	for calls := 0; running(); calls++ {
		other, err := conn.Channel(bg)
		if err != nil {
			t.Fatalf("call %d beside the publisher: %v", calls, err)
		}
		noErr(t, other.Close(bg))
	}
	noErr(t, published.err)
	noErr(t, conn.Close(bg)) // behind the last of them
	if n := len(b.Messages("q")); n != messages {
		t.Errorf("%d messages arrived", n)
	}
}

// The kernel holds about as much as it may, not the megabytes that it would.
func TestKernelHoldsLittle(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	noErr(t, err)
	t.Cleanup(func() { _ = l.Close() })
	nc, err := net.Dial("tcp", l.Addr().String())
	noErr(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	far, err := l.Accept() // and never reads
	noErr(t, err)
	t.Cleanup(func() { _ = far.Close() })
	noErr(t, far.(*net.TCPConn).SetReadBuffer(64<<10))
	link := newLink(nc)
	noErr(t, nc.SetWriteDeadline(time.Now().Add(300*time.Millisecond)))
	if n, err := nc.Write(make([]byte, 16<<20)); err == nil {
		t.Fatalf("the socket took all %d bytes", n)
	}
	if held := link.held(); held == 0 || held > 1<<20 {
		t.Errorf("the kernel holds %d bytes", held)
	}
}
