package core

import (
	"errors"
	"os"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// writeChunk is how much one write call is asked to take. A deadline applies
// to each, so a slow link that moves at all is never mistaken for a dead one.
const writeChunk = 128 << 10

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
		t := time.NewTimer(lastWords)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.dying:
		}
	}
	c.die(err)
}

// lastWords is how long the reader may still look, after a failed write, for
// the server's reason: it may lie unread in the socket, and is the better cause.
const lastWords = 100 * time.Millisecond

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
		c.armWrite()
		m, err := c.nc.Write(b[:min(len(b), writeChunk)])
		if m > 0 {
			c.counts.onWrite(m, time.Now())
		}
		n += m
		b = b[m:]
		if err != nil {
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
func (c *Conn) armWrite() {
	c.blockedMu.Lock()
	defer c.blockedMu.Unlock()
	at := time.Time{}
	if !c.isBlocked.Load() {
		at = time.Now().Add(c.cfg.WriteTimeout)
	}
	_ = c.nc.SetWriteDeadline(at) // fails only on a closed socket, which the write reports
}
