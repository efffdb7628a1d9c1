package chaos

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// book keeps what explains a duplicate: of each message how often it was sent, and how it arrived. The ledger
// counts; the book gives reasons.
type book struct {
	mu       sync.Mutex // guards the following
	messages []entry    // by sequence number
}

// entry is one message. A first arrival is one that the broker says is the first.
type entry struct {
	sent, firsts, again uint16
}

func (b *book) sent(seq uint64, attempts int) {
	b.change(seq, func(e *entry) { e.sent = uint16(attempts) })
}

func (b *book) arrived(seq uint64, redelivered bool) {
	b.change(seq, func(e *entry) {
		if redelivered {
			e.again++
		} else {
			e.firsts++
		}
	})
}

func (b *book) change(seq uint64, f func(*entry)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for uint64(len(b.messages)) <= seq {
		b.messages = append(b.messages, entry{})
	}
	f(&b.messages[seq])
}

// duplicates are the arrivals beyond one for each message, by what explains them.
type duplicates struct {
	republished int // the client sent it again
	redelivered int // the broker brought it again, and says so
	unexplained []string
}

// explain sorts the duplicates. At most requeued messages can have been with the consumer, unsettled, when it
// lost its channel.
func (b *book) explain(requeued int) duplicates {
	b.mu.Lock()
	defer b.mu.Unlock()
	var d duplicates
	for seq, e := range b.messages {
		arrivals := int(e.firsts) + int(e.again)
		if arrivals < 2 {
			continue
		}
		byClient := min(arrivals, int(e.sent)) - 1
		d.republished += byClient
		rest := arrivals - 1 - byClient
		d.redelivered += min(rest, int(e.again))
		if rest > int(e.again) {
			d.unexplained = append(d.unexplained, fmt.Sprintf("message %d, sent %d times, came %d times as a first delivery and %d times as a redelivery",
				seq, e.sent, e.firsts, e.again))
		}
	}
	if d.redelivered > requeued {
		d.unexplained = append(d.unexplained, fmt.Sprintf("%d redeliveries, but only %d messages can have been unsettled", d.redelivered, requeued))
	}
	return d
}

func (d duplicates) String() string {
	return fmt.Sprintf("duplicates: %d republished, %d redelivered, %d unexplained", d.republished, d.redelivered, len(d.unexplained))
}

func TestBookExplainsDuplicates(t *testing.T) {
	b := &book{}
	arrivals := func(seq uint64, sent int, redelivered ...bool) {
		b.sent(seq, sent)
		for _, r := range redelivered {
			b.arrived(seq, r)
		}
	}
	arrivals(1, 1, false)               // the rule
	arrivals(2, 2, false, false)        // sent twice, both arrived
	arrivals(3, 1, false, true)         // requeued
	arrivals(4, 2, true)                // sent twice, arrived once: no duplicate
	arrivals(5, 2, false, false, true)  // both
	arrivals(6, 1, false, false)        // the broker does not say why
	arrivals(7, 2, false, false, false) // nor here
	d := b.explain(10)
	if d.republished != 3 || d.redelivered != 2 || len(d.unexplained) != 2 {
		t.Errorf("%v", d)
	}
	if d := b.explain(1); len(d.unexplained) != 3 || !strings.Contains(d.unexplained[2], "2 redeliveries, but only 1") {
		t.Errorf("more redeliveries than prefetch: %q", d.unexplained)
	}
}
