package faultproxy

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// bufferSize is how much a link holds in each direction, beside the sockets' own buffers.
const bufferSize = 64 << 10

// dialTimeout bounds the dial of an upstream that does not answer.
const dialTimeout = 10 * time.Second

// link is one client's connection together with the one to the upstream.
type link struct {
	proxy       *Proxy
	ctx         context.Context // ends with abort
	cancel      context.CancelFunc
	addr        string
	client      *net.TCPConn
	newObserver func() Observer // may be nil
	observer    Observer        // may be nil; set by run
	amqp        atomic.Bool     // the client has sent the protocol header

	mu       sync.Mutex // guards the following
	upstream *net.TCPConn
	streams  [2]*stream // by lane; nil until the upstream is there
	lost     [2]bool    // bytes of that way were swallowed: it is no longer whole
	shut     [2]bool    // the receiver of that way was told that nothing more comes
}

func newLink(p *Proxy, client *net.TCPConn, addr string) *link {
	ctx, cancel := context.WithCancel(p.ctx)
	return &link{proxy: p, ctx: ctx, cancel: cancel, addr: addr, client: client}
}

// run owns the link from accept to the end of both directions.
func (l *link) run() {
	defer l.proxy.forget(l)
	defer l.abort()
	if l.newObserver != nil {
		l.observer = l.newObserver()
		defer l.observer.Close()
	}
	upstream, err := l.dial()
	if err != nil {
		return
	}
	up, down := newStream(l, toUpstream, upstream, l.client), newStream(l, toClient, l.client, upstream)
	l.open(up, down)
	var back sync.WaitGroup
	back.Go(down.runPump)
	up.runPump()
	back.Wait()
	l.client.Close() // both directions have seen their end: abort finds nothing to reset
	upstream.Close()
}

func (l *link) open(up, down *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams = [2]*stream{toUpstream: up, toClient: down}
}

func (l *link) opened() [2]*stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.streams
}

// is returns one of the link's flags; set sets it.
func (l *link) is(flag *[2]bool, way lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return flag[way]
}

func (l *link) set(flag *[2]bool, way lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	flag[way] = true
}

// closeWrite ends one way for its receiver.
func (l *link) closeWrite(way lane, dst *net.TCPConn) {
	l.set(&l.shut, way)
	_ = dst.CloseWrite()
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

// forward writes data to dst under the faults in force for each piece, and tells the
// observer of each frame before the piece that completes it.
func (l *link) forward(way lane, dst io.Writer, data []byte, cuts []cut) error {
	if len(data) == 0 {
		return nil
	}
	if err := wait(l.ctx, l.proxy.delay()); err != nil {
		return err
	}
	for sent := 0; sent < len(data); {
		size, pause := l.proxy.pace(len(data) - sent)
		if err := wait(l.ctx, pause); err != nil {
			return err
		}
		size, fate, err := l.proxy.take(l.ctx, way, size)
		if err != nil {
			return err
		}
		end := sent + size
		done := 0
		for done < len(cuts) && cuts[done].end <= end {
			done++
		}
		if err := l.deliver(way, dst, data[sent:end], cuts[:done], fate); err != nil {
			return err
		}
		sent, cuts = end, cuts[done:]
	}
	return nil
}

// deliver gives one piece, and the frames that it completes, to the receiver.
func (l *link) deliver(way lane, dst io.Writer, piece []byte, cuts []cut, fate fate) error {
	switch {
	case fate == swallowed:
		l.set(&l.lost, way)
		l.proxy.count(func(s *Stats) { s.Swallowed += int64(len(piece)) })
		return nil
	case l.is(&l.shut, way):
		return nil
	case l.is(&l.lost, way):
		return errCut // what comes now does not follow what came before
	}
	for _, c := range cuts {
		l.observe(way, c.frame)
	}
	if _, err := dst.Write(piece); err != nil && !l.is(&l.shut, way) {
		return err
	}
	if fate == lastPiece {
		return errCut
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
