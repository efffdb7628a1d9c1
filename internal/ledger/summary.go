package ledger

import (
	"fmt"
	"strings"
	"time"
)

// Summary counts what the API said. A message counts once, however often the
// application tried to publish it. The counts are final when every publish has
// its result and the queues were read until they were empty.
type Summary struct {
	Published int // asked to be published; the six below add up to it
	Confirmed int
	Returned  int
	Nacked    int
	NotSent   int
	Unknown   int
	Pending   int // no result yet

	Unique     int // messages that a handler saw
	Duplicates int // deliveries beyond the first of a message from a queue
	Lost       int // messages confirmed and seen by no handler
	Phantoms   int // deliveries of what was never published, or was something else

	Recoveries    int           // times ready again after a loss of the connection
	LongestOutage time.Duration // from the loss to ready; one that lasts counts until now
}

// Summary counts what the ledger holds now. Of a ledger in files it counts what
// can be read; [Ledger.Close] tells what cannot.
func (l *Ledger) Summary() Summary {
	h, _ := l.History()
	return h.Summary(l.clock())
}

// Summary counts what a run has left that ended after the time now.
func (h *History) Summary(now time.Duration) Summary {
	h.look()
	t := newTally(newIndex(h), len(h.Queues))
	h.each(of(PubInvoke, Result, Deliver, State), t.add)
	return t.summary(now)
}

// tally is what is known of each message, by its number.
type tally struct {
	index
	attempt   []uint16 // that outcome is about
	outcome   []Outcome
	delivered []uint32 // by queue and message
	sum       Summary
	down      outage
}

func newTally(x index, queues int) *tally {
	n := x.len()
	return &tally{index: x, attempt: make([]uint16, n), outcome: make([]Outcome, n), delivered: make([]uint32, n*queues)}
}

func (t *tally) add(r *Record) {
	slot, known := t.slot(r)
	switch {
	case r.Kind == State:
		t.down.note(r)
	case r.Kind == Deliver && (!known || r.Flags&(Corrupt|Foreign) != 0):
		t.sum.Phantoms++
	case r.Kind == Deliver:
		t.delivered[int(r.Node)*t.len()+slot]++
	case known && r.Kind == PubInvoke:
		if r.attempt() > t.attempt[slot] {
			t.attempt[slot], t.outcome[slot] = r.attempt(), Pending
		}
	case known && r.Kind == Result:
		if r.attempt() >= t.attempt[slot] {
			t.attempt[slot], t.outcome[slot] = r.attempt(), Outcome(r.Flags)
		}
	}
}

func (t *tally) summary(now time.Duration) Summary {
	s := t.sum
	s.Published = t.len()
	var counts [outcomes]int
	for slot, o := range t.outcome {
		counts[o]++
		seen := false
		for i := slot; i < len(t.delivered); i += t.len() {
			if n := int(t.delivered[i]); n > 0 {
				seen = true
				s.Duplicates += n - 1
			}
		}
		switch {
		case seen:
			s.Unique++
		case o == Confirmed:
			s.Lost++
		}
	}
	s.Confirmed, s.Returned, s.Nacked = counts[Confirmed], counts[Returned], counts[Nacked]
	s.NotSent, s.Unknown, s.Pending = counts[NotSent], counts[Unknown], counts[Pending]
	s.Recoveries, s.LongestOutage = t.down.recoveries, t.down.longestUntil(now)
	return s
}

// outage follows the notes of loss and recovery.
type outage struct {
	down       bool
	since      time.Duration
	recoveries int
	longest    time.Duration
}

func (o *outage) note(r *Record) {
	at := time.Duration(r.Time)
	switch {
	case r.Flags&Down != 0 && !o.down:
		o.down, o.since = true, at
	case r.Flags&Down == 0 && o.down:
		o.down = false
		o.recoveries++
		o.longest = max(o.longest, at-o.since)
	}
}

func (o *outage) longestUntil(now time.Duration) time.Duration {
	if o.down {
		return max(o.longest, now-o.since)
	}
	return o.longest
}

// OK reports whether nothing confirmed was lost and nothing came that was not sent.
func (s Summary) OK() bool { return s.Lost == 0 && s.Phantoms == 0 }

// String returns the summary as lines, the good and the bad alike.
func (s Summary) String() string {
	var b strings.Builder
	count := func(name string, n int) { fmt.Fprintf(&b, "%-16s%10d\n", name, n) }
	count("published", s.Published)
	count("  confirmed", s.Confirmed)
	count("  returned", s.Returned)
	count("  nacked", s.Nacked)
	count("  not sent", s.NotSent)
	count("  unknown", s.Unknown)
	if s.Pending > 0 {
		count("  no result", s.Pending)
	}
	count("consumed unique", s.Unique)
	count("duplicates", s.Duplicates)
	count("lost", s.Lost)
	if s.Phantoms > 0 {
		count("phantoms", s.Phantoms)
	}
	count("recoveries", s.Recoveries)
	fmt.Fprintf(&b, "%-16s%10s\n", "longest outage", s.LongestOutage.Round(time.Millisecond))
	return b.String()
}
