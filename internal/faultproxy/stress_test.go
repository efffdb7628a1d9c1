package faultproxy_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/faultproxy"
)

// TestStreamsStayWholeWhileFaultsChange sends streams through an echo server while
// every fault that keeps connections is turned on and off.
func TestStreamsStayWholeWhileFaultsChange(t *testing.T) {
	p := newProxy(t, echoServer(t, ""))
	sent := make([]byte, 1<<20)
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	var streams sync.WaitGroup
	for range 4 {
		conn := dial(t, p.Addr())
		streams.Go(func() { echoWhole(t, conn, sent) })
	}
	stop := make(chan struct{})
	var faults sync.WaitGroup
	faults.Go(func() { churn(p, stop) })
	streams.Wait()
	close(stop)
	faults.Wait()
}

func echoWhole(t *testing.T, conn *net.TCPConn, sent []byte) {
	var sender sync.WaitGroup
	sender.Go(func() {
		_, _ = conn.Write(sent)
		_ = conn.CloseWrite()
	})
	got, err := io.ReadAll(conn)
	sender.Wait()
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes came back, or others, %v", len(got), len(sent), err)
	}
}

// churn changes the faults until stop, then ends them.
func churn(p *faultproxy.Proxy, stop <-chan struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		switch i % 6 {
		case 0:
			p.Pause(faultproxy.Direction(1 + rand.UintN(3)))
		case 1:
			p.Slice(1000)
		case 2:
			p.Latency(time.Millisecond, time.Millisecond)
		case 3:
			p.Bandwidth(100 << 20)
		case 4:
			p.Slice(0)
			p.Latency(0, 0)
			p.Bandwidth(0)
		case 5:
			p.Resume(faultproxy.Both)
		}
	}
}

// TestNoByteIsInventedWhileConnectionsBreak resets connections under traffic.
func TestNoByteIsInventedWhileConnectionsBreak(t *testing.T) {
	p := newProxy(t, echoServer(t, ""))
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	for range 20 {
		conn := dial(t, p.Addr())
		p.CutAfter(faultproxy.ToClient, rand.Int64N(int64(len(sent))))
		var sender sync.WaitGroup
		sender.Go(func() { _, _ = conn.Write(sent) })
		got, err := io.ReadAll(conn)
		sender.Wait()
		if err == nil || !bytes.HasPrefix(sent, got) {
			t.Errorf("read %d bytes, %v; want a beginning of what was sent, then an error", len(got), err)
		}
	}
}
