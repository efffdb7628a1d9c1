package memnet

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"

	"github.com/warren-mq/warren/internal/gate"
)

// Network is a set of listeners that are reached by the address they listen
// on. The zero value is ready. All methods are safe for concurrent use.
type Network struct {
	mu        sync.Mutex // guards the following
	listeners map[string]*Listener
	lastPort  int
}

// firstPort is the first port given to those who do not ask for one.
const firstPort = 40000

// Listen listens on addr, which is host:port, any name for the host. Port 0
// is replaced by a free one. Errors: syscall.EADDRINUSE.
func (n *Network) Listen(addr string) (*Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == "0" {
		addr = n.freeAddrLocked(host)
	}
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: Addr(addr), Err: syscall.EADDRINUSE}
	}
	if n.listeners == nil {
		n.listeners = map[string]*Listener{}
	}
	l := &Listener{network: n, addr: Addr(addr)}
	n.listeners[addr] = l
	return l, nil
}

// DialContext connects to the listener at addr. The connection is open at
// once, and waits for Accept in the listener's backlog; with a full backlog it
// waits until ctx ends. Where nobody listens the error is syscall.ECONNREFUSED.
func (n *Network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := n.dial(ctx, network, addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: Addr(addr), Err: err}
	}
	return c, nil
}

func (n *Network) dial(ctx context.Context, network, addr string) (*Conn, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, net.UnknownNetworkError(network)
	}
	n.mu.Lock()
	l := n.listeners[addr]
	local := n.freeAddrLocked("127.0.0.1")
	n.mu.Unlock()
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	client, server := newPair(local, addr)
	return client, l.enqueue(ctx, server)
}

// freeAddrLocked returns an address that was not given out before.
func (n *Network) freeAddrLocked(host string) string {
	for {
		n.lastPort++
		addr := net.JoinHostPort(host, fmt.Sprint(firstPort+n.lastPort))
		if n.listeners[addr] == nil {
			return addr
		}
	}
}

func (n *Network) forget(l *Listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[string(l.addr)] == l {
		delete(n.listeners, string(l.addr))
	}
}

// backlog is how many connections wait for Accept.
const backlog = 128

// Listener accepts the connections that are dialled on its network.
type Listener struct {
	network *Network
	addr    Addr

	mu      sync.Mutex // guards the following
	queue   []*Conn
	closed  bool
	hanging bool
	changed gate.Gate
}

// Addr returns the address it listens on.
func (l *Listener) Addr() net.Addr { return l.addr }

// Accept waits for a connection; the Conn is a [*Conn].
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptConn()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptConn is Accept with the type that has the fault hooks.
func (l *Listener) AcceptConn() (*Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.waitLocked(context.Background())
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	c := l.queue[0]
	l.queue = l.queue[1:]
	l.changed.Wake()
	return c, nil
}

// Hang makes dials hang, as behind a firewall that drops packets, until it is
// called with false or the dialler's context ends.
func (l *Listener) Hang(hang bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hanging = hang
	l.changed.Wake()
}

// Close stops listening: later dials are refused, and connections that nobody
// accepted are reset. Accepted ones live on.
func (l *Listener) Close() error {
	l.network.forget(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	l.closed = true
	for _, c := range l.queue {
		c.Reset()
	}
	l.queue = nil
	l.changed.Wake()
	return nil
}

// enqueue puts the server's end of a new connection into the backlog.
func (l *Listener) enqueue(ctx context.Context, c *Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case l.closed:
			return syscall.ECONNREFUSED
		case !l.hanging && len(l.queue) < backlog:
			l.queue = append(l.queue, c)
			l.changed.Wake()
			return nil
		}
		l.waitLocked(ctx)
	}
}

// waitLocked waits for a change or the end of ctx. The lock is released meanwhile.
func (l *Listener) waitLocked(ctx context.Context) {
	changed := l.changed.Wait()
	l.mu.Unlock()
	_ = gate.Await(ctx, changed) // the caller looks at ctx
	l.mu.Lock()
}
