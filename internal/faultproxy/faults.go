package faultproxy

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/warren-mq/warren/internal/gate"
)

// Direction names one or both ways of a connection.
type Direction uint8

// The directions.
const (
	ToUpstream Direction = 1 << toUpstream
	ToClient   Direction = 1 << toClient
	Both                 = ToUpstream | ToClient
)

// lane is the index of one way.
type lane int

const (
	toUpstream lane = iota
	toClient
)

var errCut = errors.New("faultproxy: cut")

// faults are those in force.
type faults struct {
	paused          [2]bool  // by lane
	swallow         [2]bool  // by lane
	cutAfter        [2]int64 // bytes, by lane; notCut if no cut is due
	slice           int      // bytes; 0 is whole
	latency, jitter time.Duration
	bandwidth       int64 // bytes per second; 0 is unlimited
}

const notCut = -1

func noFaults() faults { return faults{cutAfter: [2]int64{notCut, notCut}} }

// Pause stops forwarding in dir and keeps the connections open: the silence of a
// frozen peer or of a network that drops everything. Bytes sent after Pause has
// returned are held back, up to 64 KiB and what the sockets buffer; the end of a
// stream is held back too. New connections are accepted, and silent.
func (p *Proxy) Pause(dir Direction) { p.setPaused(dir, true) }

// Resume ends Pause in dir; what was held back is forwarded.
func (p *Proxy) Resume(dir Direction) { p.setPaused(dir, false) }

func (p *Proxy) setPaused(dir Direction, paused bool) {
	p.change(func(f *faults) { set(&f.paused, dir, paused) })
}

// Blackhole swallows what comes in dir, the end of the stream included, and keeps the
// connections open: each side believes in a silent peer. When it ends, a connection
// that has lost bytes is reset as soon as more come: what the network has
// acknowledged and lost does not come again.
func (p *Proxy) Blackhole(dir Direction, swallow bool) {
	p.change(func(f *faults) { set(&f.swallow, dir, swallow) })
}

// set sets the flags of the lanes of dir.
func set(flags *[2]bool, dir Direction, value bool) {
	for i := range flags {
		if dir&(1<<i) != 0 {
			flags[i] = value
		}
	}
}

// CutAfter lets n more bytes pass in dir, counted from now over all connections,
// and then resets both sides of the connection that carried the last of them,
// once. With n of 0 the next byte is not forwarded and its connection is reset; a
// negative n takes the cut back. The receiver gets no more than n bytes, and exactly
// n when it keeps up: a reset discards what waits for room in its buffers.
func (p *Proxy) CutAfter(dir Direction, n int64) {
	p.change(func(f *faults) {
		for i := range f.cutAfter {
			if dir&(1<<i) != 0 {
				f.cutAfter[i] = max(n, notCut)
			}
		}
	})
}

// Slice writes at most n bytes at a time, each piece a segment of its own unless
// the receiver is slower than the sender. An n of 0 or less ends that.
func (p *Proxy) Slice(n int) {
	p.change(func(f *faults) { f.slice = max(n, 0) })
}

// Latency delays each way by d, plus or minus a random part of jitter. A way holds
// 64 KiB at most, so latency also limits it to that much in the time d. Zeros end it.
func (p *Proxy) Latency(d, jitter time.Duration) {
	p.change(func(f *faults) { f.latency, f.jitter = max(d, 0), max(jitter, 0) })
}

// Bandwidth limits each way of each connection. A limit of 0 or less ends that. From
// a connection that comes while there is one, the proxy takes little ahead of the
// limit: what waits for the slow link waits in the sender's socket.
func (p *Proxy) Bandwidth(bytesPerSecond int64) {
	p.change(func(f *faults) { f.bandwidth = max(bytesPerSecond, 0) })
}

func (p *Proxy) change(set func(*faults)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set(&p.faults)
	p.changed.Wake()
}

// delay returns how long to hold what was just read.
func (p *Proxy) delay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.faults.latency
	if j := p.faults.jitter; j > 0 {
		d += time.Duration(rand.Int64N(2*int64(j)+1)) - j
	}
	return max(d, 0)
}

// tick is how much of a second of bandwidth one piece takes.
const tick = 20 * time.Millisecond

// pace returns the size of the next piece of n bytes and the time it takes on the link.
func (p *Proxy) pace(n int) (size int, takes time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.faults.slice; s > 0 && s < n {
		n = s
		p.stats.Sliced++
	}
	rate := p.faults.bandwidth
	if rate == 0 {
		return n, 0
	}
	n = int(min(int64(n), max(rate/int64(time.Second/tick), 1)))
	return n, time.Duration(n) * time.Second / time.Duration(rate)
}

// fate is what becomes of a piece.
type fate uint8

const (
	whole     fate = iota // it is forwarded
	lastPiece             // it is forwarded, and then the connection is cut
	swallowed             // it is not, and nobody is told
)

// take waits until the way is not paused and takes up to n bytes from what a cut leaves.
func (p *Proxy) take(ctx context.Context, way lane, n int) (size int, f fate, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.awaitResumed(ctx, way); err != nil {
		return 0, whole, err
	}
	if p.faults.swallow[way] {
		return n, swallowed, nil
	}
	left := &p.faults.cutAfter[way]
	switch {
	case *left == notCut:
		return n, whole, nil
	case int64(n) < *left:
		*left -= int64(n)
		return n, whole, nil
	}
	size, *left = int(*left), notCut
	return size, lastPiece, nil
}

func (p *Proxy) swallows(way lane) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults.swallow[way]
}

func (p *Proxy) waitResumed(ctx context.Context, way lane) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.awaitResumed(ctx, way)
}

// awaitResumed is called with p.mu held and gives it up while it waits.
func (p *Proxy) awaitResumed(ctx context.Context, way lane) error {
	for p.faults.paused[way] {
		changed := p.changed.Wait()
		p.mu.Unlock()
		err := gate.Await(ctx, changed)
		p.mu.Lock()
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}
