package consumer

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/core"
)

// later holds the deliveries whose handlers have failed until their pause is
// over: no worker waits for that, and each has a pause of its own. They stay
// with their channel, so the broker sends them to nobody else meanwhile.
type later struct {
	c       *Consumer
	release func() // tells the workers that something is ready
	changed func() // the number of those held has changed
	some    atomic.Bool

	mu      sync.Mutex // guards the following
	waiting waiting
	ready   []inHand  // to be handled again
	bytes   int       // of bodies of both
	burst   time.Time // when the latest of them began
	begun   int       // attempts in it
	timer   *time.Timer
	closed  bool
}

// held is a delivery that waits.
type held struct {
	inHand
	due time.Time
	way way
}

// waiting is a heap of what waits, by its time.
type waiting []held

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(i, j int) bool { return w[i].due.Before(w[j].due) }
func (w waiting) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *waiting) Push(x any)        { *w = append(*w, x.(held)) }
func (w *waiting) Pop() any {
	old := *w
	n := len(old) - 1
	x := old[n]
	old[n] = held{}
	*w = old[:n]
	return x
}

// However many messages fail, and however fast, there are no more than so many further attempts in each
// burst, and so much time from one to the next: they do not take a processor for themselves.
const (
	burstSize = 10
	burstGap  = 100 * time.Millisecond
)

// put holds h until the pause is over; false: the consumer stops.
func (l *later) put(h inHand, w way, pause time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	heap.Push(&l.waiting, held{h, time.Now().Add(pause), w})
	l.bytes += len(h.d.Body)
	l.some.Store(true)
	l.armLocked()
	return true
}

// armLocked sets the timer to what is due first.
func (l *later) armLocked() {
	if len(l.waiting) == 0 {
		return
	}
	pause := time.Until(l.waiting[0].due)
	if l.begun == burstSize {
		pause = max(pause, time.Until(l.burst.Add(burstGap)))
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(pause, l.fire)
		return
	}
	l.timer.Reset(pause)
}

// fire passes on what is due.
func (l *later) fire() {
	due, ready := l.due(time.Now())
	for _, h := range due {
		l.c.giveBack(h, ErrRequeue)
	}
	if ready {
		l.release()
	}
	if len(due) > 0 {
		l.changed()
	}
}

// due takes out what is to be given back by now; ready: something is to be handled again.
func (l *later) due(now time.Time) (out []held, ready bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 0 && !l.waiting[0].due.After(now) && l.mayBeginLocked(now) {
		h := heap.Pop(&l.waiting).(held)
		if h.way == again && h.d.Stale() == nil {
			l.ready = append(l.ready, h.inHand)
			ready = true
			continue
		}
		l.forgetLocked(h.inHand)
		out = append(out, h)
	}
	if !l.closed {
		l.armLocked()
	}
	return out, ready
}

// mayBeginLocked reports whether there may be one more attempt now, and counts it.
func (l *later) mayBeginLocked(now time.Time) bool {
	if now.Sub(l.burst) >= burstGap {
		l.burst, l.begun = now, 0
	}
	if l.begun == burstSize {
		return false
	}
	l.begun++
	return true
}

// forgetLocked notes that h is held no more.
func (l *later) forgetLocked(h inHand) {
	l.bytes -= len(h.d.Body)
	l.some.Store(len(l.waiting)+len(l.ready) > 0)
}

// take returns a delivery that is to be handled again, if there is one.
func (l *later) take() (h inHand, ok bool) {
	if !l.some.Load() {
		return inHand{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ready) == 0 {
		return inHand{}, false
	}
	h = l.ready[0]
	l.ready[0] = inHand{}
	l.ready = l.ready[1:]
	l.forgetLocked(h)
	return h, true
}

// size returns how many deliveries of a channel are held, and how many bytes they have.
func (l *later) size(ch *core.Channel) (n, bytes int) {
	if !l.some.Load() {
		return 0, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.waiting {
		if h.d.Channel() == ch {
			n++
		}
	}
	for _, h := range l.ready {
		if h.d.Channel() == ch {
			n++
		}
	}
	return n, l.bytes
}

// close ends the waiting and returns what is held.
func (l *later) close() []held {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	all := l.waiting
	for _, h := range l.ready {
		all = append(all, held{inHand: h, way: back})
	}
	l.waiting, l.ready, l.bytes = nil, nil, 0
	l.some.Store(false)
	return all
}
