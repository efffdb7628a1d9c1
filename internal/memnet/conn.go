package memnet

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// Conn is one end of a connection. It is a net.Conn that behaves as TCP's:
// writes are buffered up to a bound, and then block; after one end closes, the
// other reads what is on its way and then io.EOF. Errors are *net.OpError
// around net.ErrClosed, os.ErrDeadlineExceeded, io.EOF alone, syscall.EPIPE
// and syscall.ECONNRESET. All methods are safe for concurrent use.
type Conn struct {
	in, out       *Direction
	local, remote net.Addr
}

// Pipe returns the two ends of a new connection, whose directions buffer
// [DefaultBuffer] bytes each.
func Pipe() (client, server *Conn) {
	return newPair("127.0.0.1:40000", "127.0.0.1:5672")
}

func newPair(client, server string) (c, s *Conn) {
	mu := new(sync.Mutex)
	up, down := newDirection(mu), newDirection(mu)
	up.opposite, down.opposite = down, up
	c = &Conn{in: down, out: up, local: Addr(client), remote: Addr(server)}
	s = &Conn{in: up, out: down, local: Addr(server), remote: Addr(client)}
	return c, s
}

// In is the direction that this end reads from.
func (c *Conn) In() *Direction { return c.in }

// Out is the direction that this end writes to.
func (c *Conn) Out() *Direction { return c.out }

// Read reads what has arrived, and waits while there is nothing.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.opError("read", err)
}

// Write writes all of p, and waits while the direction's buffer is full. With
// an error it returns how many bytes were taken before.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.opError("write", err)
}

// Close closes both directions. The peer reads what was written before, then
// io.EOF; its writes fail.
func (c *Conn) Close() error {
	if !c.in.closeRead() {
		return c.opError("close", net.ErrClosed)
	}
	c.out.closeWrite(net.ErrClosed)
	return nil
}

// CloseWrite ends the outgoing direction only, as TCP's half-close.
func (c *Conn) CloseWrite() error {
	c.out.closeWrite(syscall.EPIPE)
	return nil
}

// Reset breaks the connection at once: both ends fail with
// syscall.ECONNRESET, and what was on its way is lost.
func (c *Conn) Reset() { c.breakOff(func(*Direction) bool { return true }) }

// Break breaks the connection behind what is on its way: both ends read that,
// and then fail with syscall.ECONNRESET, as their writes do at once. What is
// stalled is lost.
func (c *Conn) Break() { c.breakOff(func(d *Direction) bool { return d.faults.stalled }) }

// breakOff breaks both directions in one step, so that neither end can answer the other's reset with an end of file.
func (c *Conn) breakOff(loses func(*Direction) bool) {
	c.in.mu.Lock() // both directions'
	defer c.in.mu.Unlock()
	for _, d := range []*Direction{c.in, c.out} {
		if loses(d) {
			d.dropLocked()
		}
		d.breakOffLocked()
	}
}

// LocalAddr returns this end's address.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the other end's address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines; the zero time is none.
func (c *Conn) SetDeadline(t time.Time) error {
	_ = c.SetWriteDeadline(t) // fails as the next does
	return c.SetReadDeadline(t)
}

// SetReadDeadline bounds present and future reads.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.opError("set", c.in.setReadDeadline(t))
}

// SetWriteDeadline bounds present and future writes.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.opError("set", c.out.setWriteDeadline(t))
}

// opError dresses err as package net does. io.EOF stays bare.
func (c *Conn) opError(op string, err error) error {
	switch err {
	case nil, errEOF:
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// Addr is an address in host:port form.
type Addr string

// Network returns "tcp".
func (Addr) Network() string { return "tcp" }

// String returns host:port.
func (a Addr) String() string { return string(a) }
