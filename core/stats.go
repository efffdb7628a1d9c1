package core

import (
	"sync/atomic"
	"time"
)

// Stats are counts since the connection was opened, without the handshake.
type Stats struct {
	BytesReceived uint64
	BytesSent     uint64
	LastReceived  time.Time // when bytes came last, heartbeats too; zero: never
	LastSent      time.Time // when bytes were last written, heartbeats too; zero: never
	Requeued      uint64    // deliveries put back because their consumer was gone
	Dropped       uint64    // the same with automatic ack, which puts nothing back: these are lost
	// Ignored counts what the server sent without a meaning that it could have
	// here: frames for a channel that is gone, returns of nothing that was
	// published, confirms of what is settled, cancels of no consumer, and bytes
	// behind a method's last argument. A few are usual, many a fault of the server.
	Ignored uint64
}

// Stats returns the connection's counts. It has no side effect.
func (c *Conn) Stats() Stats {
	return Stats{
		BytesReceived: c.counts.received.Load(), LastReceived: timeOf(&c.counts.receivedAt),
		BytesSent: c.counts.sent.Load(), LastSent: timeOf(&c.counts.sentAt),
		Requeued: c.strays.Load(), Dropped: c.dropped.Load(), Ignored: c.ignored.Load() + c.trailing.Load(),
	}
}

// SendHeartbeat has a heartbeat written now, next to those that are sent by
// themselves. It does not wait. Its error is why the connection died.
func (c *Conn) SendHeartbeat() error {
	c.out.heartbeat()
	return c.Err()
}

// traffic counts bytes; reader and writer have a side each.
type traffic struct {
	received, sent     atomic.Uint64
	receivedAt, sentAt atomic.Int64 // Unix nanoseconds, 0: never
}

func (t *traffic) onRead(n int, now time.Time) {
	t.received.Add(uint64(n))
	t.receivedAt.Store(now.UnixNano())
}

func (t *traffic) onWrite(n int, now time.Time) {
	t.sent.Add(uint64(n))
	t.sentAt.Store(now.UnixNano())
}

func timeOf(ns *atomic.Int64) time.Time {
	if ns.Load() == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns.Load())
}
