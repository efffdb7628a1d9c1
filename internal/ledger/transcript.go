package ledger

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Write puts the history into new files of dir, for [Read].
func (h *History) Write(dir string) error {
	errs := []error{writeNames(dir, h.Names), appendEvents(dir, h.Events)}
	for n, part := range h.Parts {
		b := make([]byte, 0, len(part)*RecordSize)
		for i := range part {
			b = part[i].Append(b)
		}
		errs = append(errs, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d.ledger", n)), b, 0o644))
	}
	return errors.Join(errs...)
}

// Transcript writes the events of a run as text, a line each, by time: both ledgers
// and the faults.
func (h *History) Transcript(w io.Writer) error {
	var records []*Record
	h.each(all, func(r *Record) { records = append(records, r) })
	slices.SortStableFunc(records, func(a, b *Record) int { return cmp.Compare(a.Time, b.Time) })
	out := bufio.NewWriter(w)
	for _, r := range records {
		fmt.Fprintln(out, h.line(r))
	}
	return out.Flush()
}

// line tells an event with the message that it is about.
func (h *History) line(r *Record) string {
	id := ""
	if r.Pub > 0 {
		id = " " + ID{Publisher: r.Pub, Seq: r.seq(), Attempt: r.attempt()}.String()
	}
	return fmt.Sprintf("%14v %s%s", time.Duration(r.Time).Round(time.Microsecond), h.words(r), id)
}

// words tells an event without its time and message.
func (h *History) words(r *Record) string {
	what := h.verb(r)
	if r.Epoch > 0 {
		what += fmt.Sprintf(" e%d/%d", r.Epoch, low(r.Tag))
	}
	return what
}

func (h *History) verb(r *Record) string {
	what := r.Kind.String()
	switch r.Kind {
	case Result:
		return Outcome(r.Flags).String()
	case Nemesis:
		return mark(h.Faults[r.Node], r.Flags)
	case LossWindow:
		return mark("may lose "+h.Queues[r.Node], r.Flags)
	case State:
		if r.Flags&Down != 0 {
			return "down"
		}
		return "up"
	case Call:
		return fmt.Sprintf("%s took %v", h.Calls[r.Node], time.Duration(r.Tag))
	case Confirm, WireSettle:
		return verdictWords(r)
	case Deliver, HandlerEnd:
		what += " from " + h.Queues[r.Node]
	}
	return what + flagWords(r)
}

// mark shows the begin, the effect and the end of something that lasts.
func mark(name string, flags Flags) string {
	switch {
	case flags&Ended != 0:
		return "[/" + name + "]"
	case flags&Effect != 0:
		return "[" + name + " works]"
	}
	return "[" + name + "]"
}

func verdictWords(r *Record) string {
	what := "ack"
	if r.Flags&Negative != 0 {
		what = "nack"
	}
	if r.Kind == WireSettle && r.Flags&Requeue != 0 {
		what = "requeue"
	}
	if r.Flags&Multiple != 0 {
		what += " up to"
	}
	return what
}

// flagWords tells the flags that matter to a reader.
func flagWords(r *Record) string {
	switch {
	case r.Kind == HandlerEnd && r.Flags&Failed != 0:
		return " (failed)"
	case r.Kind == EpochClose && r.Flags&ByServer != 0:
		return fmt.Sprintf(" by the server, %d", r.Tag)
	case r.Kind == EpochClose && r.Flags&Lost != 0:
		return " with its connection"
	case (r.Kind == Deliver || r.Kind == WireDeliver) && r.Flags&Redelivered != 0:
		return " (redelivered)"
	}
	return ""
}
