package core

import (
	"crypto/tls"
	"errors"
	"os"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// A deadline applies to each write call, so that a slow link that moves is not
// mistaken for a dead one. How much a call is asked to take follows the link's
// pace between these bounds.
const (
	minChunk = 4 << 10
	maxChunk = 128 << 10
)

// nextChunk returns how much the next call is asked to take after one that was
// asked for chunk took so long.
func nextChunk(chunk int, took, limit time.Duration) int {
	switch {
	case took > limit/16:
		return max(int(int64(chunk)*int64(limit/32)/int64(took)), minChunk)
	case took < limit/64:
		return min(2*chunk, maxChunk)
	}
	return chunk
}

// keepBuffer is the largest buffer kept for reuse after it was written.
const keepBuffer = 4 << 20

// runWriter is the only goroutine that writes to the socket after the
// handshake. It ends when the connection dies, or after the last frame.
func (c *Conn) runWriter() {
	err := c.writeAll()
	close(c.writerDone)
	switch {
	case err == nil:
		return
	case !errors.Is(err, ErrTimeout): // the peer has hung up
		t := time.NewTimer(finalRead)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.dying:
		}
	}
	c.die(err)
}

// finalRead is how long the reader may still look, after a failed write, for
// the server's reason: it may lie unread in the socket, and is the better cause.
const finalRead = 100 * time.Millisecond

// writeAll writes what there is, until the connection dies or all is said.
func (c *Conn) writeAll() error {
	heartbeat, stop := c.heartbeatTicks()
	defer stop()
	var control, data []byte
	var start uint64
	var done bool
	written := false // since the last tick
	for {
		// 1st: everything pending, in one go.
		control, data, start, done = c.out.take(control, data)
		if len(control)+len(data) > 0 {
			written = true
			if err := c.writeBatch(control, data, start); err != nil {
				return err
			}
			control, data = reuse(control), reuse(data)
			continue
		}
		if done {
			return nil
		}
		// 2nd: sleep until there is more, or a heartbeat is due.
		select {
		case <-c.out.bell:
		case <-heartbeat:
			if !written {
				if err := c.writeBatch(wire.AppendHeartbeat(control[:0]), nil, start); err != nil {
					return err
				}
			}
			written = false
		case <-c.dying:
			return nil
		}
	}
}

// heartbeatTicks ticks three times an interval: a frame is sent at the latest
// two ticks after the previous one, well inside the interval.
func (c *Conn) heartbeatTicks() (<-chan time.Time, func()) {
	if c.tuned.Heartbeat == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(c.tuned.Heartbeat / 3)
	return t.C, t.Stop
}

func (c *Conn) writeBatch(control, data []byte, start uint64) error {
	if _, err := c.write(control); err != nil {
		c.flushed.Store(start)
		return err
	}
	n, err := c.write(data)
	c.flushed.Store(start + uint64(n))
	return err
}

// write writes b. While the broker has announced that it blocks (it has then
// stopped reading) there is no deadline: see [Conn.setBlocked].
func (c *Conn) write(b []byte) (n int, err error) {
	for len(b) > 0 {
		var before departures
		watched := c.link.raw != nil && (len(b) >= maxChunk/2 || c.chunk < maxChunk)
		if watched {
			before = c.departures()
		}
		begun := c.armWrite()
		m, err := c.nc.Write(b[:min(len(b), c.chunk)])
		if m > 0 {
			now := time.Now()
			c.counts.onWrite(m, now)
			c.chunk = nextChunk(c.chunk, now.Sub(begun), c.cfg.WriteTimeout)
		}
		n += m
		b = b[m:]
		if err != nil && !(watched && c.resumes(err, before)) {
			return n, writeError(err)
		}
	}
	return n, nil
}

func writeError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return because(ErrTimeout, errors.New("the peer does not read"))
	}
	return err
}

func reuse(b []byte) []byte {
	if cap(b) > keepBuffer {
		return nil
	}
	return b[:0]
}

// armWrite sets the deadline of the next write. It is called by the writer,
// and by the reader when the blocked state changes during a write.
func (c *Conn) armWrite() (now time.Time) {
	c.blockedMu.Lock()
	defer c.blockedMu.Unlock()
	now = time.Now()
	at := time.Time{}
	if !c.isBlocked.Load() {
		at = now.Add(c.cfg.WriteTimeout)
	}
	_ = c.nc.SetWriteDeadline(at) // fails only on a closed socket, which the write reports
	return now
}

// resumes reports whether a write that ended with err goes on: it was out of
// time, and bytes have left since before, where that is known. After a timeout
// TLS cannot go on; there the pace of the link must do.
func (c *Conn) resumes(err error, before departures) bool {
	_, secure := c.nc.(*tls.Conn)
	return !secure && errors.Is(err, os.ErrDeadlineExceeded) && c.departures().moved(before)
}
