package brokertest

import (
	"time"

	"github.com/warren-mq/warren/core/wire"
)

const (
	handshakeTimeout  = 10 * time.Second
	closeTimeout      = 10 * time.Second // for the client to answer a close
	closedTimeout     = 30 * time.Second // for the client to close the socket
	silentDelay       = 3 * time.Second  // before the socket is closed over what cannot be trusted
	handshakeFrameMax = 8192
	readSize          = 64 << 10
)

// runReader reads until the socket ends.
func (c *conn) runReader() {
	defer c.end()
	_ = c.nc.SetReadDeadline(time.Now().Add(handshakeTimeout))
	c.in.buf = make([]byte, 0, readSize)
	for {
		n, err := c.nc.Read(c.in.space())
		if n > 0 {
			c.in.took(n)
			if !c.handle() {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// end is how the reader goes: the connection is dead.
func (c *conn) end() {
	c.died(nil)
	_ = c.nc.Close()
}

// died ends the connection, with what follows from that. The socket goes first if it is told how, or else the writer
// would close it in order.
func (c *conn) died(how func(*Link)) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	if how != nil {
		how(c.nc)
	}
	c.die()
	c.b.settle()
	c.b.wake()
}

// handle takes the frames that have come in. It returns false when no more is to be read.
func (c *conn) handle() bool {
	for {
		c.b.mu.Lock()
		more := c.in.frames(c)
		c.flushLate()
		c.flushConfirms()
		c.b.settle()
		c.b.wake()
		wait := c.throttled()
		alive := c.phase != phaseDead && !c.hangup
		switch {
		case wait != nil:
			_ = c.nc.SetReadDeadline(time.Time{})
		case c.phase == phaseRunning && c.heartbeat > 0:
			_ = c.nc.SetReadDeadline(time.Now().Add(3 * c.heartbeat))
		}
		c.b.mu.Unlock()
		if !alive {
			return c.drain()
		}
		if wait != nil {
			select {
			case <-wait:
			case <-c.closing:
			case <-c.dead:
				return false
			}
		}
		if !more {
			return true
		}
	}
}

// drain waits until the writer has written the last word.
func (c *conn) drain() bool {
	<-c.dead
	return false
}

// runWriter writes what is there to write, and heartbeats.
func (c *conn) runWriter() {
	s := sender{c: c}
	var spare []byte
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	beat := time.Duration(0)
	for {
		select {
		case <-c.bell:
		case <-tick.C:
		case <-c.dead:
			_ = c.nc.Close()
			return
		}
		c.b.mu.Lock()
		buf := c.out
		seams := c.seams
		c.out, c.seams, c.writing = spare[:0], nil, len(buf)
		hangup := c.hangup
		if c.phase == phaseRunning && c.heartbeat != beat {
			beat = c.heartbeat
			tick.Reset(beat / 2)
		}
		if len(buf) == 0 && beat > 0 && c.phase == phaseRunning {
			buf = wire.AppendHeartbeat(buf)
		}
		c.b.mu.Unlock()
		if hangup {
			_ = c.nc.nc.SetWriteDeadline(time.Now().Add(closeTimeout)) // the last word waits for nobody for ever
		}
		err := c.write(&s, buf, seams)
		if err != nil || hangup {
			c.died(nil)
			_ = c.nc.Close()
			return
		}
		spare = c.written(buf)
	}
}

// write writes whole frames, and between the seams whatever else, to the socket.
func (c *conn) write(s *sender, buf []byte, seams []int) error {
	if len(buf) == 0 {
		return nil
	}
	if c.b.filtering.Load() {
		begin := 0
		for _, end := range append(seams, len(buf)) {
			if err := s.write(buf[begin:end]); err != nil {
				return err
			}
			begin = end
		}
		return nil
	}
	_, err := c.nc.Write(buf)
	return err
}

// written notes that the backlog has gone, and returns the buffer for the next one.
func (c *conn) written(buf []byte) []byte {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.unflushed -= c.writing
	if c.flushed != nil && c.unflushed <= 0 {
		close(c.flushed)
		c.flushed = nil
	}
	c.writing = 0
	if c.paused && len(c.out) < backlog {
		c.paused = false
		for _, ch := range c.sortedChannels() {
			for _, consumer := range ch.sortedConsumers() {
				consumer.Wake()
			}
		}
		c.b.settle()
		c.b.wake()
	}
	if cap(buf) > 4*backlog {
		return nil
	}
	return buf
}

// flush waits on the reader's goroutine until what there is to write now is written. It waits neither for a link that is
// stalled nor for longer than closeTimeout. Caller does not hold Broker.mu.
func (c *conn) flush() {
	flushed := make(chan struct{})
	c.b.mu.Lock()
	c.unflushed = c.writing + len(c.out)
	if c.flushed = flushed; c.unflushed == 0 {
		c.flushed = nil
		close(flushed)
	}
	c.b.mu.Unlock()
	late := time.NewTimer(closeTimeout)
	defer late.Stop()
	for {
		stalled, changed := c.nc.sendingStalls()
		if stalled {
			return
		}
		select {
		case <-flushed:
			return
		case <-c.dead:
			return
		case <-late.C:
			return
		case <-changed:
		}
	}
}
