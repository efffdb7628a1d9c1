package publisher_test

import (
	"net"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/ledger"
)

// tap tells the wire ledger of each frame that passes through a connection.
type tap struct {
	net.Conn
	ledger   *ledger.Conn
	out, in  []byte // not yet whole frames
	greeting int    // bytes of the protocol header still to be skipped
}

func newTap(nc net.Conn, l *ledger.Ledger) *tap { return &tap{Conn: nc, ledger: l.Conn(), greeting: 8} }

// Write writes frame by frame, so that none is told of behind one that could
// not be written. It is called by one goroutine at a time, as Read is.
func (t *tap) Write(p []byte) (written int, err error) {
	for len(p) > 0 && err == nil {
		n := min(t.greeting, len(p))
		t.greeting -= n
		if n == 0 {
			begun := len(t.out) // of a frame whose beginning is written: a write may end anywhere
			t.out = append(t.out, p...)
			if frame, size, _ := wire.ParseFrame(t.out, 0); size > 0 {
				t.ledger.ToBroker(frame)
				n = size - begun
				t.out = t.out[:0]
			} else {
				n = len(p)
			}
		}
		n, err = t.Conn.Write(p[:n])
		written += n
		p = p[n:]
	}
	return written, err
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.in = frames(append(t.in, p[:n]...), t.ledger.ToClient)
	return n, err
}

func (t *tap) Close() error {
	t.ledger.Close()
	return t.Conn.Close()
}

// frames calls f with each whole frame in b, and returns the rest.
func frames(b []byte, f func(wire.Frame)) []byte {
	for {
		frame, n, err := wire.ParseFrame(b, 0)
		if n == 0 || err != nil {
			return b
		}
		f(frame)
		b = b[n:]
	}
}
