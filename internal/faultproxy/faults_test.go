package faultproxy_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/faultproxy"
)

const both = faultproxy.Both

// stalled is a connection that a test brings to a standstill.
type stalled struct {
	proxy  *faultproxy.Proxy
	client *net.TCPConn
}

// fill writes until the buffers on the way are full and nobody reads.
func fill(t *testing.T, conn net.Conn) {
	t.Helper()
	chunk := make([]byte, 1<<20)
	for range 1 << 10 {
		_ = conn.SetWriteDeadline(time.Now().Add(silence))
		if _, err := conn.Write(chunk); errors.Is(err, os.ErrDeadlineExceeded) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("1 GiB went into the buffers")
}

func TestPauseHoldsBackOneOrBothDirections(t *testing.T) {
	for name, c := range map[string]struct {
		dir                  faultproxy.Direction
		toUpstream, toClient bool
	}{
		"to upstream": {faultproxy.ToUpstream, true, false},
		"to client":   {faultproxy.ToClient, false, true},
		"both":        {faultproxy.Both, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, client, upstream := pair(t)
			p.Pause(c.dir)
			send(t, client, "request")
			send(t, upstream, "response")
			check := func(conn net.Conn, held bool, s string) {
				t.Helper()
				if held {
					expectSilence(t, conn)
				} else {
					expect(t, conn, s)
				}
			}
			check(upstream, c.toUpstream, "request")
			check(client, c.toClient, "response")
			p.Resume(c.dir)
			if c.toUpstream {
				expect(t, upstream, "request")
			}
			if c.toClient {
				expect(t, client, "response")
			}
		})
	}
}

func TestPauseHoldsBackTheEndOfTheStream(t *testing.T) {
	p, client, upstream := pair(t)
	p.Pause(faultproxy.ToUpstream)
	client.Close()
	expectSilence(t, upstream)
	p.Resume(faultproxy.ToUpstream)
	if n, err := upstream.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatalf("read %d bytes, %v; want the end", n, err)
	}
}

func TestResetReachesBothSides(t *testing.T) {
	p, client, upstream := pair(t)
	p.Reset()
	expectReset(t, client)
	expectReset(t, upstream)
}

func TestResetEndsAWriteThatNobodyReads(t *testing.T) {
	p, client, _ := pair(t)
	fill(t, client)
	p.Reset()
	expectReset(t, client)
}

func TestProxyServesAfterReset(t *testing.T) {
	p := newProxy(t, echoServer(t, "hello"))
	for range 3 {
		conn := dial(t, p.Addr())
		expect(t, conn, "hello")
		p.Reset()
		expectReset(t, conn)
	}
}

func TestCutAfterPassesThatMuch(t *testing.T) {
	sent := strings.Repeat("0123456789", 20_000)
	for _, n := range []int{0, 1, 7, 8, 4096, 65_536, 65_537, 199_999, 200_000} {
		for name, dir := range map[string]faultproxy.Direction{"to upstream": faultproxy.ToUpstream, "to client": faultproxy.ToClient} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				p, from, to := pair(t)
				if dir == faultproxy.ToClient {
					from, to = to, from
				}
				p.CutAfter(dir, int64(n))
				var sender sync.WaitGroup
				sender.Go(func() { _, _ = from.Write([]byte(sent)) })
				got := expectReset(t, to)
				sender.Wait()
				if exact := n <= 4096; exact && len(got) != n || !strings.HasPrefix(sent[:n], got) {
					t.Errorf("%d bytes came, want the first %d", len(got), n)
				}
			})
		}
	}
}

func TestCutAfterCountsOverConnectionsAndCutsOnce(t *testing.T) {
	p := newProxy(t, echoServer(t, ""))
	first, second := dial(t, p.Addr()), dial(t, p.Addr())
	p.CutAfter(faultproxy.ToUpstream, 5)
	send(t, first, "abc")
	expect(t, first, "abc")
	send(t, second, "defg")
	expectReset(t, second)
	send(t, first, "still here")
	expect(t, first, "still here")
}

func TestCutAfterIsTakenBackByANegativeNumber(t *testing.T) {
	p := newProxy(t, echoServer(t, ""))
	conn := dial(t, p.Addr())
	p.CutAfter(both, 2)
	p.CutAfter(both, -7)
	send(t, conn, "whole")
	expect(t, conn, "whole")
}
