package demo

import (
	"errors"
	"fmt"
	"strings"

	"github.com/warren-mq/warren/internal/ledger"
)

// ErrInterrupted is the error of a run whose context ended first.
var ErrInterrupted = errors.New("interrupted before the end")

// Result is the ledger of a run.
type Result struct {
	ledger.Summary
	// NotConsumed counts the messages of a run cut short that were confirmed and
	// not consumed by then: nobody looked for them to the end, so they are not lost.
	NotConsumed int
}

func newResult(s ledger.Summary, cutShort bool) Result {
	r := Result{Summary: s}
	if cutShort {
		r.NotConsumed, r.Lost = s.Lost, 0
	}
	return r
}

// Whole reports whether the run went to its end and kept its promise.
func (r Result) Whole() bool {
	return r.OK() && r.Published > 0 && r.Confirmed == r.Published && r.Unique == r.Published
}

// String returns the ledger as lines, with a word on what may be misread.
func (r Result) String() string {
	var b strings.Builder
	b.WriteString(r.Summary.String())
	if r.NotConsumed > 0 {
		fmt.Fprintf(&b, "%-16s%10d\n", "not consumed yet", r.NotConsumed)
	}
	var notes []string
	note := func(count int, text string) {
		if count > 0 {
			notes = append(notes, text)
		}
	}
	note(r.Duplicates, "Duplicates: published again since a connection ended before the confirm came, or delivered again\n"+
		"since it ended before the ack arrived. At-least-once delivery brings them; consumers must bear them.")
	note(r.NotConsumed, "Not consumed yet: confirmed, and not delivered when the run was cut short; nobody looked whether they arrive.")
	note(r.Unknown, "Unknown: sent, and not answered when the run was cut short; the broker may have them or not.")
	note(r.Phantoms, "Phantoms: deliveries of what this run did not publish: left in the queue by an earlier run, or from one beside it.")
	if len(notes) > 0 {
		fmt.Fprintf(&b, "\n%s\n", strings.Join(notes, "\n"))
	}
	if r.Whole() {
		fmt.Fprintf(&b, "\nNothing was lost: all %d messages were confirmed and consumed.\n", r.Published)
	}
	return b.String()
}
