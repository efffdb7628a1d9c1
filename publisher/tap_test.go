package publisher_test

import (
	"net"
	"slices"
	"testing"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/ledger"
)

// tap tells the wire ledger of each frame that passes through a connection.
type tap struct {
	net.Conn
	ledger   observer
	out, in  []byte // not yet whole frames
	greeting int    // bytes of the protocol header still to be skipped
}

// observer is the part of [ledger.Conn] that the tap uses.
type observer interface {
	ToBroker(wire.Frame)
	ToClient(wire.Frame)
	Close()
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

// The tap sees each frame once, wherever a write ends.
func TestTheTapSeesFramesThatAWriteSplits(t *testing.T) {
	var stream []byte
	for _, body := range []string{"a", "", "long enough", "b"} {
		stream = wire.AppendBody(stream, 1, []byte(body), 4096)
	}
	for size := 1; size <= len(stream); size++ {
		var seen seen
		tap := &tap{Conn: discard{}, ledger: &seen}
		for part := range slices.Chunk(stream, size) {
			if n, err := tap.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if want := []string{"a", "long enough", "b"}; !slices.Equal(seen, want) {
			t.Errorf("writes of %d octets: %q; want %q", size, seen, want)
		}
	}
}

type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error) { return len(p), nil }

type seen []string

func (s *seen) ToBroker(f wire.Frame) { *s = append(*s, string(f.Payload)) }
func (s *seen) ToClient(wire.Frame)   {}
func (s *seen) Close()                {}
