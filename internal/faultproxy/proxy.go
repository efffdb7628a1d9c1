package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/warren-mq/warren/internal/gate"
)

// ErrClosed is the cause with which [Proxy.Close] ends what the proxy has under way.
var ErrClosed = errors.New("faultproxy: closed")

// Proxy forwards TCP connections to one upstream. Its methods are safe for
// concurrent use, take effect on open connections unless they say otherwise, and
// do nothing after Close.
type Proxy struct {
	listener net.Listener
	ctx      context.Context // ends with Close
	cancel   context.CancelCauseFunc
	running  sync.WaitGroup // every goroutine of the proxy

	mu          sync.Mutex // guards all below
	upstream    string
	refuse      bool
	links       map[*link]struct{}
	faults      faults
	stats       Stats
	newObserver func() Observer
	frameFaults []*FrameFault // replaced, never changed
	changed     gate.Gate     // a change of faults
}

// New starts a proxy on a free port of 127.0.0.1 in front of upstream, an address
// "host:port", to which nothing is dialled before a client connects. The caller
// ends it with Close.
func New(upstream string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("faultproxy: %w", err)
	}
	p := &Proxy{listener: listener, upstream: upstream, links: map[*link]struct{}{}, faults: noFaults()}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	p.running.Go(p.runAccept)
	return p, nil
}

// Addr returns the address "127.0.0.1:port" that clients dial. It never changes.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetUpstream makes connections accepted from now on go to addr. Open ones stay.
func (p *Proxy) SetUpstream(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.upstream = addr
}

// Refuse makes the proxy close new connections at once after it accepted them, or
// stops that. Open ones stay.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// Conns returns the number of client connections, those included for which the
// upstream is being dialled.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Reset resets (RST) both sides of all connections. What they have under way is
// lost. New connections are accepted as before.
func (p *Proxy) Reset() {
	links := p.openLinks()
	p.count(func(s *Stats) { s.Resets += len(links) })
	for _, l := range links {
		l.abort()
	}
}

// Close stops listening, resets all connections and waits for every goroutine of
// the proxy. It may be called more than once.
func (p *Proxy) Close() {
	p.cancel(ErrClosed)
	p.listener.Close()
	p.Reset()
	p.running.Wait()
}

func (p *Proxy) openLinks() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

// acceptRetry is the pause after a failed accept, such as one for want of file descriptors.
const acceptRetry = 10 * time.Millisecond

func (p *Proxy) runAccept() {
	for p.ctx.Err() == nil {
		conn, err := p.listener.Accept()
		if err != nil {
			_ = wait(p.ctx, acceptRetry)
			continue
		}
		p.admit(conn.(*net.TCPConn))
	}
}

// admit starts a link for an accepted connection. One that comes while the proxy
// closes sees the end of the proxy's context, whose child its own is.
func (p *Proxy) admit(client *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		p.stats.Refused++
		client.Close()
		return
	}
	p.stats.Accepted++
	if p.faults.bandwidth > 0 {
		_ = client.SetReadBuffer(bufferSize) // at worst it takes more
	}
	l := newLink(p, client, p.upstream)
	l.newObserver = p.newObserver
	p.links[l] = struct{}{}
	p.running.Go(l.run)
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}
