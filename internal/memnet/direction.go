package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/warren-mq/warren/internal/gate"
)

// DefaultBuffer is how many bytes a direction takes before writes block.
const DefaultBuffer = 64 << 10

var errEOF = io.EOF

// Direction is one of a connection's two byte streams, and the place to turn
// on its faults. Both ends share it: what one calls [Conn.Out] is the other's
// [Conn.In]. All methods are safe for concurrent use.
type Direction struct {
	opposite *Direction

	mu       *sync.Mutex // guards the following, of both directions: a connection breaks in one step
	buf      []byte      // written and not yet read
	written  int64       // bytes taken from the writer, ever
	limit    int
	ended    bool      // the writer has closed: io.EOF behind buf
	endAt    time.Time // when the end arrives
	writeErr error     // what further writes return
	gone     bool      // the reader has closed
	broken   bool      // syscall.ECONNRESET, for the reader behind buf
	readBy   time.Time // the reader's deadline
	writeBy  time.Time // the writer's deadline
	faults   faults
	changed  gate.Gate // any of the above changed
}

func newDirection(mu *sync.Mutex) *Direction {
	return &Direction{mu: mu, limit: DefaultBuffer, faults: faults{cutAt: -1}}
}

func (d *Direction) read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		now := time.Now()
		arrived, next := d.arrivedLocked(now)
		switch {
		case d.gone:
			return 0, net.ErrClosed
		case expired(d.readBy, now):
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case arrived > 0:
			return d.consume(p, arrived), nil
		case d.broken && len(d.buf) == 0:
			return 0, syscall.ECONNRESET
		case d.ended && len(d.buf) == 0 && !d.faults.stalled && !d.endAt.After(now):
			return 0, io.EOF
		}
		d.waitLocked(earliest(d.readBy, next))
	}
}

// consume moves up to n arrived bytes into p.
func (d *Direction) consume(p []byte, n int) int {
	if d.faults.slice > 0 {
		n = min(n, d.faults.slice)
	}
	n = copy(p, d.buf[:n])
	d.buf = d.buf[:copy(d.buf, d.buf[n:])]
	d.changed.Wake()
	return n
}

func (d *Direction) write(p []byte) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case n > 0 && len(p) == 0:
			return n, nil
		case d.broken:
			return n, syscall.ECONNRESET
		case d.writeErr != nil:
			return n, d.writeErr
		case expired(d.writeBy, now):
			return n, os.ErrDeadlineExceeded
		case d.gone && !d.faults.stalled:
			return n, syscall.EPIPE
		case len(p) == 0:
			return 0, nil
		}
		if room := min(d.limit-len(d.buf), len(p)); room > 0 {
			room, cut := d.faults.untilCut(d.written, room)
			d.accept(p[:room], now)
			if cut {
				d.opposite.breakOffLocked()
			}
			n, p = n+room, p[room:]
			continue
		}
		d.waitLocked(d.writeBy)
	}
}

// accept takes p from the writer, and breaks the direction where it is to be cut.
func (d *Direction) accept(p []byte, now time.Time) {
	start := d.written
	d.buf = append(d.buf, p...)
	d.written += int64(len(p))
	d.faults.sent(start, d.written, now)
	d.broken = d.broken || d.written == d.faults.cutAt
	d.changed.Wake()
}

// waitLocked waits for a change, at the latest until at unless that is zero. The
// lock is released meanwhile.
func (d *Direction) waitLocked(at time.Time) {
	changed := d.changed.Wait()
	d.mu.Unlock()
	defer d.mu.Lock()
	if at.IsZero() {
		<-changed
		return
	}
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	}
}

// closeRead is the reader's close. It reports whether it was the first.
func (d *Direction) closeRead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := !d.gone
	d.gone = true
	d.dropLocked()
	d.changed.Wake()
	return first
}

// closeWrite is the writer's close: its further writes return err.
func (d *Direction) closeWrite(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ended {
		d.ended, d.endAt = true, time.Now().Add(d.faults.delay)
	}
	d.writeErr = err
	d.changed.Wake()
}

// dropLocked loses what is on its way.
func (d *Direction) dropLocked() { d.buf, d.faults.late = nil, nil }

// breakOffLocked breaks the direction behind what is on its way.
func (d *Direction) breakOffLocked() {
	d.broken = true
	d.changed.Wake()
}

func (d *Direction) setReadDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return net.ErrClosed
	}
	d.readBy = t
	d.changed.Wake()
	return nil
}

func (d *Direction) setWriteDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writeErr == net.ErrClosed {
		return net.ErrClosed
	}
	d.writeBy = t
	d.changed.Wake()
	return nil
}

func expired(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// earliest returns the earlier of two times, where zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
