package brokertest

import (
	"context"
	"net"
	"syscall"

	"github.com/warren-mq/warren/internal/memnet"
)

// URL returns the broker's address as an AMQP URL, for the user guest and the virtual host "/". The first
// call opens a listener on the loopback interface, with a port that stays the same across [Broker.Restart]. It
// panics inside a [testing/synctest] bubble, which cannot wait for sockets: use [Broker.DialContext] there.
func (b *Broker) URL() string {
	return "amqp://guest:guest@" + b.Addr() + "/"
}

// Addr returns the host and port of [Broker.URL].
func (b *Broker) Addr() string {
	if bubbled() {
		panic("brokertest: " + errBubble.Error())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.addr == "" && !b.closed {
		if err := b.listen("127.0.0.1:0"); err != nil {
			panic("brokertest: no port on the loopback interface: " + err.Error())
		}
	}
	return b.addr
}

// Listen opens the listener of [Broker.Addr] on an address of choice, unless it is open. It fails inside a
// [testing/synctest] bubble.
func (b *Broker) Listen(addr string) error {
	if bubbled() {
		return errBubble
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.addr != "" {
		return net.ErrClosed
	}
	return b.listen(addr)
}

// listen opens the listener. Caller holds mu.
func (b *Broker) listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	b.listener, b.addr = l, l.Addr().String()
	b.running.Go(func() { b.runAccept(l) })
	return nil
}

// runAccept serves the connections of a listener until it is closed.
func (b *Broker) runAccept(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		if !b.serve(nc) {
			reset(nc)
		}
	}
}

// DialContext connects to the broker in memory. The network and the address are ignored. It fails with
// [syscall.ECONNREFUSED] while the broker is stopped or refuses connections.
func (b *Broker) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	client, server := memnet.Pipe()
	if !b.serve(server) {
		_ = client.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Addr: memnet.Addr(addr), Err: syscall.ECONNREFUSED}
	}
	return client, nil
}

// serve starts a connection, unless the broker takes none.
func (b *Broker) serve(nc net.Conn) bool {
	c := newConn(b, newLink(b, nc))
	c.nc.c = c
	b.mu.Lock()
	b.nextConn++
	c.id = b.nextConn
	hooks := b.connecting
	b.mu.Unlock()
	for _, f := range hooks {
		f(c.nc)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return false
	}
	if c.phase == phaseDead { // a hook has ended it
		return true
	}
	b.conns = append(b.conns, c)
	b.running.Go(c.runReader)
	b.running.Go(c.runWriter)
	return true
}
