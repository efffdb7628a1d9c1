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
	bar       bool
	total     int
	delivered atomic.Int64

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
	s.eraseLocked()
	fmt.Fprintf(s.out, "%6.1fs  %s\n", time.Since(s.begun).Seconds(), fmt.Sprintf(format, args...))
}

// fault tells of the i-th of n faults, which strikes when settled messages have their outcome.
func (s *screen) fault(k Kind, i, n, settled int) {
	s.say("fault %d of %d, after %d messages: %s", i, n, settled, map[Kind]string{
		Kill:  "the broker is killed and started again",
		Reset: "every connection is reset",
		Soft:  "a publish to an exchange that does not exist; the broker closes the channel over it, whenever it is tried",
	}[k])
}

// event shows what a person would want to see of it.
func (s *screen) event(e warren.Event) {
	switch e.Kind {
	case recovery.EventLost, recovery.EventChannelLost, recovery.EventConsumerLost, recovery.EventConsumerEnded, recovery.EventQuarantined, recovery.EventQosDropped:
		what := e.Connection + " connection"
		if e.Entity != "" {
			what = e.Entity
		}
		s.say("%s: %s: %v", e.Kind, what, e.Err)
	case recovery.EventRecovered:
		s.say("%s", recovered(e))
	}
}

// recovered tells of a connection that is back. What the loss took from the
// publisher is not lost: it has it still.
func recovered(e warren.Event) string {
	r := e.Report
	line := fmt.Sprintf("recovered: %s connection: back after %s, at attempt %d", e.Connection, r.Total.Round(time.Millisecond), r.Attempts)
	count := func(n int, one, more string) {
		switch {
		case n == 1:
			line += ", 1 " + one
		case n > 1:
			line += fmt.Sprintf(", %d %s", n, more)
		}
	}
	count(r.Declared, "entity declared again", "entities declared again")
	count(r.Survived, "queue survived", "queues survived")
	count(len(r.Failed), "entity refused", "entities refused")
	count(r.Tally.Unknown+r.Tally.NotSent, "message to be sent again", "messages to be sent again")
	count(r.Tally.StaleAcks, "message to be delivered again, its ack came too late", "messages to be delivered again, their acks came too late")
	return line
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
			s.eraseLocked()
			return
		}
	}
}

func (s *screen) progress(confirmed int) {
	delivered := int(s.delivered.Load())
	if !s.bar {
		s.say("%d of %d confirmed, %d delivered", confirmed, s.total, delivered)
		return
	}
	const width = 40
	full := min(width, width*confirmed/s.total)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eraseLocked()
	fmt.Fprintf(s.out, "[%s%s] %3d%%  %d confirmed, %d delivered", strings.Repeat("█", full), strings.Repeat("·", width-full),
		100*confirmed/s.total, confirmed, delivered)
	s.drawn = true
}

// eraseLocked clears the bar, so that a line can stand in its place.
func (s *screen) eraseLocked() {
	if s.drawn {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.drawn = false
	}
}
