package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// screen shows a run: a bar that is drawn over itself, or plain lines.
type screen struct {
	bar      bool
	total    int
	consumed atomic.Int64

	mu    sync.Mutex // guards the following
	out   io.Writer
	begun time.Time
	drawn bool // the bar stands in the last line
}

func newScreen(out io.Writer, bar bool, total int) *screen {
	return &screen{out: out, bar: bar, total: total, begun: time.Now()}
}

// say prints one line.
func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintf(s.out, "%6.1fs  %s\n", time.Since(s.begun).Seconds(), fmt.Sprintf(format, args...))
}

func (s *screen) fault(k Kind) {
	s.say("fault: %s", map[Kind]string{
		Kill:  "the broker is killed and started again",
		Reset: "every connection is reset",
		Soft:  "a publish that makes the broker close the channel",
	}[k])
}

// event shows what a person would want to see of it.
func (s *screen) event(e warren.Event) {
	switch e.Kind {
	case recovery.Lost, recovery.ChannelLost, recovery.ConsumerLost, recovery.ConsumerEnded, recovery.Quarantined, recovery.QosDropped:
		what := e.Connection + " connection"
		if e.Entity != "" {
			what = e.Entity
		}
		s.say("%s: %s: %v", e.Kind, what, e.Err)
	case recovery.Recovered:
		s.say("%s connection %v", e.Connection, e.Report)
	}
}

// runProgress shows how far the run is, until ctx ends.
func (s *screen) runProgress(ctx context.Context, p *publisher.Publisher) {
	interval := time.Second
	if s.bar {
		interval = 100 * time.Millisecond
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.progress(int(p.Stats().Confirmed))
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			s.erase()
			return
		}
	}
}

func (s *screen) progress(confirmed int) {
	consumed := int(s.consumed.Load())
	if !s.bar {
		s.say("%d of %d confirmed, %d consumed", confirmed, s.total, consumed)
		return
	}
	const width = 40
	full := min(width, width*confirmed/s.total)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintf(s.out, "[%s%s] %3d%%  %d confirmed, %d consumed", strings.Repeat("█", full), strings.Repeat("·", width-full),
		100*confirmed/s.total, confirmed, consumed)
	s.drawn = true
}

// erase clears the bar, so that a line can stand in its place. The lock is held.
func (s *screen) erase() {
	if s.drawn {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.drawn = false
	}
}
