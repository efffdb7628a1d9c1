package core

import (
	"context"
	"math"
	"time"
)

// patience bounds the waiting for the peer. Its limit counts from when what the
// peer is to answer has left this host: a request may stand behind much that a
// slow link carries away bit by bit, and as long as that moves nobody is late.
// While the broker blocks it has stopped reading, and nothing counts as moving.
type patience struct {
	conn     *Conn
	limit    time.Duration
	progress func() time.Time // when the peer came closer to the answer last; nil: it is one step

	since time.Time  // the limit counts from here
	seen  departures // at the last look
	swap  uint64     // of the outbox: what the peer is to answer is with the socket when it is written
	taken int64      // by the socket when that was so; -1: it is not yet
	late  bool       // it had not left at the last look
	gone  bool       // it has left
}

// patience returns one for the answer to what has been queued so far.
func (c *Conn) patience(limit time.Duration) *patience {
	return &patience{conn: c, limit: limit, swap: c.out.pendingSwap(), taken: -1}
}

// patienceAhead returns one for a place in the queue, where nothing is sent yet.
func (c *Conn) patienceAhead(limit time.Duration) *patience {
	return &patience{conn: c, limit: limit, swap: math.MaxUint64, taken: -1}
}

// await waits for done. It reports false when patience has run out, or ctx has
// ended, whose cause then is the error.
func (p *patience) await(ctx context.Context, done <-chan struct{}) (bool, error) {
	p.since, p.seen = time.Now(), p.conn.departures()
	t := time.NewTimer(p.interval())
	defer t.Stop()
	for {
		select {
		case <-done:
			return true, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-t.C:
		}
		p.look()
		left := p.limit - time.Since(p.since)
		if left <= 0 {
			return false, nil
		}
		t.Reset(min(left, p.interval()))
	}
}

// ended is the error of a wait that has no better one: [ErrTimeout] when
// patience has run out.
func ended(done bool, err error) error {
	if !done && err == nil {
		return ErrTimeout
	}
	return err
}

// interval is how often it is looked whether bytes leave.
func (p *patience) interval() time.Duration { return max(p.limit/8, 1) }

// look lets the limit begin again if there is a reason.
func (p *patience) look() {
	if p.progress != nil {
		if at := p.progress(); at.After(p.since) {
			p.since = at
		}
	}
	if p.gone {
		return
	}
	now := p.conn.departures()
	p.gone = p.hasLeft(now)
	if p.gone && p.late || !p.gone && now.moved(p.seen) && !p.conn.isBlocked.Load() {
		p.since = time.Now()
	}
	p.seen, p.late = now, !p.gone
}

// hasLeft reports whether all has left that the answer is waited for: the
// socket has taken it, and since then more than it holds now.
func (p *patience) hasLeft(now departures) bool {
	if p.taken < 0 {
		if !p.conn.out.hasWritten(p.swap) {
			return false
		}
		p.taken = now.taken
	}
	return now.taken-p.taken >= now.held
}
