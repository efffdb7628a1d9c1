package memnet

import "time"

// faults is what a direction does to the bytes on their way.
type faults struct {
	stalled bool
	slice   int // most bytes a Read returns; 0: no limit
	delay   time.Duration
	cutAt   int64 // stream offset at which the connection breaks; -1: never
	late    []late
	here    int64 // stream offset up to which bytes have arrived, while late is not empty
}

// late says when bytes up to an offset of the stream arrive.
type late struct {
	end int64
	at  time.Time
}

// SetBuffer changes how many bytes the direction takes before writes block.
func (d *Direction) SetBuffer(bytes int) {
	d.change(func() { d.limit = bytes })
}

// Stall holds everything back: nothing arrives any more, neither bytes nor
// the end, and writes block once the buffer is full. Only a reset passes.
func (d *Direction) Stall() { d.change(func() { d.faults.stalled = true }) }

// Resume ends [Direction.Stall].
func (d *Direction) Resume() { d.change(func() { d.faults.stalled = false }) }

// Slice makes every Read return at most n bytes; 0 ends it.
func (d *Direction) Slice(n int) { d.change(func() { d.faults.slice = n }) }

// Delay makes bytes written from now on arrive so much later, in order. They
// count against the buffer until they are read.
func (d *Direction) Delay(by time.Duration) { d.change(func() { d.faults.delay = by }) }

// CutAfter breaks the connection once n more bytes were written in this
// direction: a Write that goes beyond returns early with
// syscall.ECONNRESET. What was written before, in both directions, can still
// be read; then reads fail with syscall.ECONNRESET. Zero cuts at the next byte.
func (d *Direction) CutAfter(n int64) {
	d.change(func() { d.faults.cutAt = d.written + n })
}

// Written returns how many bytes were written in this direction so far.
func (d *Direction) Written() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.written
}

// Buffered returns how many bytes were written and not yet read.
func (d *Direction) Buffered() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.buf)
}

func (d *Direction) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
	d.changed.Wake()
}

// arrivedLocked returns how many bytes can be read now, and when that changes by
// itself, zero if it does not.
func (d *Direction) arrivedLocked(now time.Time) (n int, next time.Time) {
	f := &d.faults
	if f.stalled && !d.broken {
		return 0, time.Time{}
	}
	for len(f.late) > 0 && !f.late[0].at.After(now) {
		f.here = f.late[0].end
		f.late = f.late[1:]
	}
	if len(f.late) == 0 {
		return len(d.buf), d.endAt
	}
	read := d.written - int64(len(d.buf))
	return int(f.here - read), f.late[0].at
}

// untilCut returns how many of n bytes fit before the cut, and whether that is reached.
func (f *faults) untilCut(written int64, n int) (int, bool) {
	if f.cutAt < 0 || f.cutAt-written > int64(n) {
		return n, false
	}
	return int(f.cutAt - written), true
}

// sent notes when the bytes between two offsets arrive: never before those
// that were written earlier.
func (f *faults) sent(start, end int64, now time.Time) {
	if f.delay == 0 && len(f.late) == 0 {
		return
	}
	at := now.Add(f.delay)
	if n := len(f.late); n == 0 {
		f.here = start
	} else if last := f.late[n-1].at; last.After(at) {
		at = last
	}
	f.late = append(f.late, late{end, at})
}
