package brokertest

import (
	"bytes"
	"net"
	"os"
	"time"

	"github.com/warren-mq/warren/internal/memnet"
)

// Read implements [net.Conn] for the broker's side.
func (l *Link) Read(p []byte) (int, error) {
	l.strike(&l.receive)
	if err := l.wait(&l.receive, false); err != nil {
		return 0, err
	}
	l.mu.Lock()
	if slice := l.sliceReceive; slice > 0 && len(p) > slice {
		p = p[:slice]
	}
	n := copy(p, l.unread)
	l.unread = l.unread[n:]
	l.mu.Unlock()
	var err error
	if n == 0 {
		n, err = l.nc.Read(p)
	}
	n = l.read(p[:n])
	if werr := l.wait(&l.receive, n > 0); err == nil && werr != nil { // the socket may have waited for long
		return 0, werr
	}
	return n, err
}

// read counts what has come and keeps what is behind the octet at which something happens.
func (l *Link) read(p []byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	if left := l.receive.left; left >= 0 {
		n = int(min(int64(n), left))
		l.receive.left -= int64(n)
		l.unread = append(bytes.Clone(p[n:]), l.unread...)
	}
	return n
}

// Write implements [net.Conn] for the broker's side.
func (l *Link) Write(p []byte) (int, error) {
	for done := 0; ; {
		l.strike(&l.send)
		if err := l.wait(&l.send, true); err != nil {
			return done, err
		}
		l.mu.Lock()
		part := p[done:]
		if l.sliceSend > 0 && len(part) > l.sliceSend {
			part = part[:l.sliceSend]
		}
		if left := l.send.left; left >= 0 && int64(len(part)) > left {
			part = part[:left]
		}
		l.mu.Unlock()
		n, err := l.nc.Write(part)
		done += n
		if err != nil {
			return done, err
		}
		l.mu.Lock()
		if l.send.left >= 0 {
			l.send.left = max(l.send.left-int64(n), 0)
		}
		l.mu.Unlock()
		if done == len(p) {
			l.strike(&l.send)
			return done, nil
		}
	}
}

// strike has happen what is to happen at an octet, when that has come.
func (l *Link) strike(h *half) {
	l.mu.Lock()
	then := h.then
	if h.left != 0 {
		then = nil
	} else {
		h.left = -1
	}
	l.mu.Unlock()
	if then != nil {
		then()
	}
}

// wait waits for the direction to pass something.
func (l *Link) wait(h *half, delays bool) error {
	for {
		l.mu.Lock()
		stalled, delay, changed, deadline, closed := h.stalled, h.delay, l.changed, l.deadline, l.closed
		l.mu.Unlock()
		if closed {
			return net.ErrClosed
		}
		if !stalled {
			if delays && delay > 0 {
				l.sleep(delay)
			}
			return nil
		}
		var expired <-chan time.Time
		if h == &l.receive && !deadline.IsZero() {
			t := time.NewTimer(time.Until(deadline))
			defer t.Stop()
			expired = t.C
		}
		select {
		case <-changed:
		case <-l.dead:
		case <-expired:
			return os.ErrDeadlineExceeded
		}
	}
}

func (l *Link) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.dead:
	}
}

// SetReadDeadline bounds reads, also those that are stalled.
func (l *Link) SetReadDeadline(t time.Time) error {
	l.set(func() { l.deadline = t })
	return l.nc.SetReadDeadline(t)
}

// Close closes the broker's side of the connection.
func (l *Link) Close() error {
	l.end()
	l.c.b.mu.Lock()
	abandoned := l.c.abandoned
	l.c.b.mu.Unlock()
	if abandoned {
		return nil
	}
	return l.nc.Close()
}

// end has everything that waits in the link give up.
func (l *Link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.dead)
	}
}

// sendingStalls reports whether [Link.StallSending] holds, and a channel that is closed when that may have changed.
func (l *Link) sendingStalls() (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.send.stalled, l.changed
}

// hangUp closes the socket without a word, not even one of TLS.
func (l *Link) hangUp() {
	l.end()
	_ = l.nc.Conn.Close()
}

// reset closes the socket so that the client sees a reset and not an orderly end.
func (l *Link) reset() {
	l.end()
	reset(l.nc.Conn)
}

func reset(nc net.Conn) {
	switch nc := nc.(type) {
	case *memnet.Conn:
		nc.Break() // a reset overtakes nothing that has reached the client
	case *net.TCPConn:
		_ = nc.SetLinger(0)
	}
	_ = nc.Close()
}
