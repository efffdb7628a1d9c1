package core

import "fmt"

// Outcome is the verdict on one publish. Only OutcomeConfirmed is success.
type Outcome uint8

const (
	// OutcomePending: no verdict yet.
	OutcomePending Outcome = iota
	// OutcomeConfirmed: acked by the broker and, if mandatory, routed to at least one queue.
	OutcomeConfirmed
	// OutcomeReturned: mandatory and routed nowhere; the broker gave it back.
	OutcomeReturned
	// OutcomeNacked: the broker refused it (for example a full queue with reject-publish).
	OutcomeNacked
	// OutcomeNotSent: no byte of it was handed to the socket. Publishing it again cannot duplicate it.
	OutcomeNotSent
	// OutcomeUnknown: handed to the socket, and the channel died before a verdict. The broker may have it.
	OutcomeUnknown
)

var outcomeNames = [...]string{"pending", "confirmed", "returned", "nacked", "not sent", "unknown"}

// String returns the outcome in words.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

// Verdict ends a publish.
type Verdict struct {
	Outcome Outcome
	Return  *Return // the returned message, for OutcomeReturned only
	Cause   error   // why the channel died, for OutcomeNotSent and OutcomeUnknown only
}

// Settler is told the verdict on one publish: exactly once, from the
// connection's reader goroutine, with no lock held. It must not block.
type Settler interface {
	Settle(Verdict)
}

// confirms follows the publishes of one channel in confirm mode: which tags
// wait for a verdict, and where in the byte stream each one starts. It is
// pure: the channel's lock guards it, and the caller delivers the verdicts.
//
// The ring holds tags base … next-1; a settled tag leaves a nil settler until
// base has moved past it.
//
// What the broker returns is recognised by its mark, which no two unsettled
// publishes have: the one that came later is sent with its tag instead.
type confirms struct {
	ring  []publish // len is a power of two; tag t is at t & (len-1)
	marks []uint64  // by mark, as many as the ring has places: the latest tag of those that share this one
	base  uint64    // lowest tag that may be unsettled
	next  uint64    // tag of the next publish
	open  int       // unsettled tags
}

// maxSpan bounds the ring: how many windows of tags may lie between the
// oldest unsettled publish and the next one.
const maxSpan = 16

// full reports whether the window of unsettled publishes is used up.
func (c *confirms) full(window int) bool {
	return c.open >= window || c.next-c.base >= maxSpan*uint64(window)
}

// publish is one unsettled message.
type publish struct {
	settler  Settler
	returned *Return
	start    uint64 // offset of its first byte in the connection's data stream
	mark     uint64 // fingerprint that correlates a basic.return; 0: not mandatory, or sent with its tag
	before   uint64 // the tag before this one that shares its place in marks; kept when this one is settled
}

// settled is a verdict on its way to its settler.
type settled struct {
	settler Settler
	verdict Verdict
}

func newConfirms() confirms {
	return confirms{ring: make([]publish, 64), marks: make([]uint64, 64), base: 1, next: 1}
}

// add gives the next tag to a publish whose first byte is at start.
func (c *confirms) add(s Settler, start, mark uint64) (tag uint64) {
	if c.next-c.base == uint64(len(c.ring)) {
		c.grow()
	}
	tag = c.next
	c.next++
	c.open++
	*c.at(tag) = publish{settler: s, start: start, mark: mark}
	c.link(tag)
	return tag
}

func (c *confirms) grow() {
	bigger := make([]publish, 2*len(c.ring))
	for tag := c.base; tag != c.next; tag++ {
		bigger[tag&uint64(len(bigger)-1)] = *c.at(tag)
	}
	c.ring, c.marks = bigger, make([]uint64, len(bigger))
	for tag := c.base; tag != c.next; tag++ {
		c.link(tag)
	}
}

func (c *confirms) at(tag uint64) *publish { return &c.ring[tag&uint64(len(c.ring)-1)] }

// settle ends tag, or with multiple every unsettled tag up to and including
// it (tag 0 then means all), and appends the verdicts to out. A tag that was
// settled before is left alone; one never issued is a protocol fault.
//
// Rules: basic.ack in the specification; RabbitMQ "Publisher Confirms".
func (c *confirms) settle(out []settled, tag uint64, multiple bool, o Outcome) ([]settled, error) {
	if tag >= c.next || (tag == 0 && !multiple) {
		return out, fmt.Errorf("confirm for tag %d, %d were published", tag, c.next-1)
	}
	if !multiple {
		if tag >= c.base {
			out = c.end(out, tag, o)
		}
	} else {
		last := tag
		if tag == 0 {
			last = c.next - 1
		}
		for t := c.base; t <= last; t++ {
			out = c.end(out, t, o)
		}
	}
	c.advance()
	return out, nil
}

func (c *confirms) end(out []settled, tag uint64, o Outcome) []settled {
	p := c.at(tag)
	if p.settler == nil {
		return out
	}
	v := Verdict{Outcome: o}
	if p.returned != nil && o == OutcomeConfirmed {
		v = Verdict{Outcome: OutcomeReturned, Return: p.returned}
	}
	out = append(out, settled{p.settler, v})
	*p = publish{before: p.before}
	c.open--
	return out
}

// advance moves base past the settled prefix.
func (c *confirms) advance() {
	for c.base != c.next && c.at(c.base).settler == nil {
		c.base++
	}
}

// place returns where the latest tag with a mark is noted.
func (c *confirms) place(mark uint64) *uint64 {
	return &c.marks[mark>>1&uint64(len(c.marks)-1)] // the lowest bit is set in all
}

// link makes tag the latest at its place in marks.
func (c *confirms) link(tag uint64) {
	if p := c.at(tag); p.mark != 0 {
		latest := c.place(p.mark)
		p.before, *latest = *latest, tag
	}
}

// withMark returns the unsettled publish with this mark, 0 if there is none.
// It lets go of the settled ones that it meets.
func (c *confirms) withMark(mark uint64) (tag uint64) {
	for link := c.place(mark); *link >= c.base; {
		p := c.at(*link)
		switch {
		case p.settler == nil:
			*link = p.before
		case p.mark == mark:
			return *link
		default:
			link = &p.before
		}
	}
	return 0
}

// giveBack attaches a returned message to the publish with this tag, and
// reports whether that is unsettled. RabbitMQ sends a return before the ack.
func (c *confirms) giveBack(r *Return, tag uint64) bool {
	if tag < c.base || tag >= c.next {
		return false
	}
	p := c.at(tag)
	if p.settler == nil || p.returned != nil {
		return false
	}
	p.returned = r
	return true
}

// drain ends every unsettled tag because the channel died: OutcomeNotSent if its
// first byte lies at or after sent, else OutcomeUnknown. A message already returned
// keeps that verdict: the broker said that it has no queue for it.
func (c *confirms) drain(out []settled, sent uint64, cause error) []settled {
	for tag := c.base; tag != c.next; tag++ {
		p := c.at(tag)
		if p.settler == nil {
			continue
		}
		v := Verdict{Outcome: OutcomeUnknown, Cause: cause}
		switch {
		case p.returned != nil:
			v = Verdict{Outcome: OutcomeReturned, Return: p.returned}
		case p.start >= sent:
			v.Outcome = OutcomeNotSent
		}
		out = append(out, settled{p.settler, v})
		*p = publish{}
	}
	c.base, c.open = c.next, 0
	return out
}
