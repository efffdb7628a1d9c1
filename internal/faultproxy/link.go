package faultproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// bufferSize is how much a link holds in each direction, beside the sockets' own buffers.
const bufferSize = 64 << 10

// dialTimeout bounds the dial of an upstream that does not answer.
const dialTimeout = 10 * time.Second

// link is one client's connection together with the one to the upstream.
type link struct {
	proxy  *Proxy
	ctx    context.Context // ends with abort
	cancel context.CancelFunc
	addr   string
	client *net.TCPConn

	mu       sync.Mutex // guards upstream
	upstream *net.TCPConn
}

func newLink(p *Proxy, client *net.TCPConn, addr string) *link {
	ctx, cancel := context.WithCancel(p.ctx)
	return &link{proxy: p, ctx: ctx, cancel: cancel, addr: addr, client: client}
}

// run owns the link from accept to the end of both directions.
func (l *link) run() {
	defer l.proxy.forget(l)
	defer l.abort()
	upstream, err := l.dial()
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { l.runPump(toClient, l.client, upstream) })
	l.runPump(toUpstream, upstream, l.client)
	back.Wait()
	l.client.Close() // both directions have seen their end: abort finds nothing to reset
	upstream.Close()
}

// dial connects to the upstream, unless the link is aborted meanwhile.
func (l *link) dial() (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(l.ctx, "tcp", l.addr)
	if err != nil {
		return nil, err
	}
	upstream := conn.(*net.TCPConn)
	l.mu.Lock()
	l.upstream = upstream
	l.mu.Unlock()
	if err := l.ctx.Err(); err != nil {
		reset(upstream)
		return nil, err
	}
	return upstream, nil
}

// abort resets both sides; it ends the dial and both pumps.
func (l *link) abort() {
	l.cancel() // before the lock: dial looks after it
	l.mu.Lock()
	upstream := l.upstream
	l.mu.Unlock()
	reset(l.client)
	if upstream != nil {
		reset(upstream)
	}
}

// reset makes the close of conn send RST and discard what is still to be sent.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	conn.Close()
}

// runPump forwards one direction. The end of the stream ends this direction only,
// as a half-close does; any error ends the link.
func (l *link) runPump(way lane, dst, src *net.TCPConn) {
	buf := make([]byte, bufferSize)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if l.forward(way, dst, buf[:n]) != nil {
				l.abort()
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if l.proxy.waitResumed(l.ctx, way) == nil {
				_ = dst.CloseWrite()
			}
			return
		case err != nil:
			l.abort()
			return
		}
	}
}

// forward writes data to dst under the faults in force for each piece.
func (l *link) forward(way lane, dst io.Writer, data []byte) error {
	if err := wait(l.ctx, l.proxy.delay()); err != nil {
		return err
	}
	for len(data) > 0 {
		size, pause := l.proxy.pace(len(data))
		if err := wait(l.ctx, pause); err != nil {
			return err
		}
		size, cut, err := l.proxy.take(l.ctx, way, size)
		if err != nil {
			return err
		}
		if _, err := dst.Write(data[:size]); err != nil {
			return err
		}
		if cut {
			return errCut
		}
		data = data[size:]
	}
	return nil
}

// wait returns after d, or with the cause of the end of ctx.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
