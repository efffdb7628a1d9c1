package memnet

import (
	"context"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func listen(t *testing.T, n *Network, addr string) *Listener {
	t.Helper()
	l, err := n.Listen(addr)
	mustFail(t, err, nil)
	return l
}

func dial(t *testing.T, n *Network, addr string) net.Conn {
	t.Helper()
	c, err := n.DialContext(context.Background(), "tcp", addr)
	mustFail(t, err, nil)
	return c
}

func TestDialReachesTheListenerByAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n Network
		a, b := listen(t, &n, "rabbit-a:5672"), listen(t, &n, "rabbit-b:5672")
		c := dial(t, &n, "rabbit-b:5672")
		s, err := b.Accept()
		mustFail(t, err, nil)
		mustWrite(t, c, "hello")
		mustRead(t, s, "hello")
		if got := s.LocalAddr().String(); got != "rabbit-b:5672" || c.RemoteAddr().String() != got {
			t.Errorf("server at %s, client dialled %s", got, c.RemoteAddr())
		}
		if c.LocalAddr().String() == dial(t, &n, "rabbit-a:5672").LocalAddr().String() {
			t.Error("two clients have one address")
		}
		_ = a.Close()
	})
}

func TestAcceptWaitsForADial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n Network
		l := listen(t, &n, "h:1")
		done := later(func() error { _, err := l.Accept(); return err })
		mustBlock(t, done)
		dial(t, &n, "h:1")
		mustFail(t, <-done, nil)
	})
}

func TestDialIsRefusedWhereNobodyListens(t *testing.T) {
	var n Network
	_, err := n.DialContext(context.Background(), "tcp", "h:1")
	mustFail(t, err, syscall.ECONNREFUSED)
	_, err = n.DialContext(context.Background(), "udp", "h:1")
	mustFail(t, err, net.UnknownNetworkError("udp"))
}

func TestClosedListenerRefusesAndCanBeReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n Network
		l := listen(t, &n, "h:1")
		_, err := n.Listen("h:1")
		mustFail(t, err, syscall.EADDRINUSE)
		accepted := dial(t, &n, "h:1")
		s, _ := l.Accept()
		waiting := dial(t, &n, "h:1")
		_ = l.Close()
		mustFail(t, l.Close(), net.ErrClosed)
		_, err = l.Accept()
		mustFail(t, err, net.ErrClosed)
		_, err = n.DialContext(context.Background(), "tcp", "h:1")
		mustFail(t, err, syscall.ECONNREFUSED)
		mustFail(t, readErr(waiting), syscall.ECONNRESET)
		mustWrite(t, accepted, "still here")
		mustRead(t, s, "still here")
		listen(t, &n, "h:1")
	})
}

func TestCloseFreesAccept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n Network
		l := listen(t, &n, "h:1")
		done := later(func() error { _, err := l.Accept(); return err })
		mustBlock(t, done)
		_ = l.Close()
		mustFail(t, <-done, net.ErrClosed)
	})
}

func TestPortZeroIsReplaced(t *testing.T) {
	var n Network
	a, b := listen(t, &n, "h:0"), listen(t, &n, "h:0")
	if a.Addr().String() == b.Addr().String() {
		t.Errorf("both listen on %s", a.Addr())
	}
	dial(t, &n, a.Addr().String())
	if _, err := n.Listen("no port"); err == nil {
		t.Error("an address without a port was accepted")
	}
}

func TestDialHangsUntilItsContextEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n Network
		l := listen(t, &n, "h:1")
		l.Hang(true)
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_, err := n.DialContext(ctx, "tcp", "h:1")
		mustFail(t, err, context.DeadlineExceeded)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("hung for %s", d)
		}
		done := later(func() error { _, err := n.DialContext(context.Background(), "tcp", "h:1"); return err })
		mustBlock(t, done)
		l.Hang(false)
		mustFail(t, <-done, nil)
	})
}

func TestDialWaitsForAFullBacklog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n Network
		l := listen(t, &n, "h:1")
		for range backlog {
			dial(t, &n, "h:1")
		}
		done := later(func() error { _, err := n.DialContext(context.Background(), "tcp", "h:1"); return err })
		mustBlock(t, done)
		_, _ = l.Accept()
		synctest.Wait()
		mustFail(t, <-done, nil)
	})
}
