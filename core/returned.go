package core

import (
	"hash/maphash"
	"maps"

	"github.com/warren-mq/warren/core/wire"
)

// TagHeader is a header that a publish in confirm mode is sent with where the
// broker's return of it could be mistaken for that of another one: basic.return
// says which message it is about by its content alone. It holds the publish's tag
// on its channel, an int64 without meaning to anybody else, and is sent only with a
// mandatory publish that agrees with one that has no verdict yet in exchange, key, and
// message id or, without one, size and beginning of the body. A [Return] does not
// show it, consumers see it. The broker does nothing with it, unless a binding to a headers
// exchange names it and asks for all-with-x or any-with-x. A message that is published with this header,
// because it was received with it, has it replaced.
const TagHeader = "x-warren-tag"

// recognisableLocked returns the mark of p, as it is sent: with its tag where another publish may have the same
// mark.
func (ch *Channel) recognisableLocked(p *Publishing) (sent *Publishing, mark uint64) {
	if !p.Mandatory && !p.Immediate {
		return p, 0
	}
	if ch.mode != modeConfirm {
		ch.unmarked = true
		return p, 0
	}
	_, taken := p.Properties.Headers[TagHeader]
	mark = markOf(p.Exchange, p.RoutingKey, p.Properties.MessageID, p.Body)
	if !taken && !ch.unmarked && ch.confirms.withMark(mark) == 0 {
		return p, mark
	}
	tagged := *p
	tagged.Properties.Headers = make(Table, len(p.Properties.Headers)+1)
	maps.Copy(tagged.Properties.Headers, p.Properties.Headers)
	tagged.Properties.Headers[TagHeader] = int64(ch.confirms.next)
	return &tagged, 0
}

// markSeed makes the marks of one process comparable.
var markSeed = maphash.MakeSeed()

// markBody is how much of a body goes into its mark.
const markBody = 256

// markOf is what a publish without a tag is recognised by when the broker
// returns it: exchange, key, message id and the body's size and beginning.
func markOf(exchange, key, id string, body []byte) uint64 {
	return markOfPart(exchange, key, id, uint64(len(body)), body)
}

// markOfPart is markOf where no more of the body is known than its size and its beginning.
func markOfPart(exchange, key, id string, size uint64, body []byte) uint64 {
	h := maphash.String(markSeed, exchange)
	h = 31*h + maphash.String(markSeed, key)
	h = 31*h + maphash.String(markSeed, id)
	h = 31*h + size
	if id == "" {
		h = 31*h + maphash.Bytes(markSeed, body[:min(len(body), markBody)])
	}
	return h | 1 // never 0
}

// onReturned gives a returned message to its publish, and to the listener. Its
// body may have been skipped but for the beginning.
func (ch *Channel) onReturned(r *Return, size uint64, beginning []byte) {
	tag, tagged := wire.LookupHeader(r.props, TagHeader)
	id, _ := wire.LookupProperty(r.props, wire.PropertyMessageID)
	ch.mu.Lock()
	stray := false
	switch tag, ours := tag.(int64); {
	case ch.mode != modeConfirm:
	case ours:
		r.tagged = true
		stray = !ch.confirms.giveBack(r, uint64(tag))
	case tagged: // a publish in confirm mode has it as a number
		stray = true
	default:
		stray = !ch.confirms.giveBack(r, ch.confirms.withMark(markOfPart(r.Exchange, r.RoutingKey, string(id), size, beginning)))
	}
	listener := ch.onReturn
	ch.mu.Unlock()
	if stray {
		ch.conn.ignored.Add(1)
	}
	if listener != nil {
		listener(r)
	}
}
