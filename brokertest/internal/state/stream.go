package state

import (
	"slices"
	"sort"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// streamLog holds the messages of a stream, in segments that are dropped whole.
type streamLog struct {
	entries  []*Entry
	next     uint64 // offset of the next message
	bytes    int64
	segments []segment
}

// segment is a run of messages.
type segment struct {
	entries int
	bytes   int64
	last    time.Time // when its last message came
}

// append adds a message. One that begins a segment drops those that are too old or too much by then; the segment
// has an offset of its own, as RabbitMQ begins one with an entry that clients do not see.
func (l *streamLog) append(m *Message, now time.Time, of *limits) {
	n := len(l.segments)
	begins := n == 0 || l.segments[n-1].bytes >= of.segmentBytes
	if begins {
		l.segments = append(l.segments, segment{})
		l.next += uint64(min(n, 1))
	}
	l.entries = append(l.entries, &Entry{Message: m, Offset: l.next, published: now})
	l.next++
	size := int64(len(m.Body))
	l.bytes += size
	s := &l.segments[len(l.segments)-1]
	s.entries, s.bytes, s.last = s.entries+1, s.bytes+size, now
	if begins {
		l.truncate(of.maxBytes, of.maxAge, now)
	}
}

// at returns the message at an offset, or the first behind it.
func (l *streamLog) at(offset uint64) *Entry {
	i := sort.Search(len(l.entries), func(i int) bool { return l.entries[i].Offset >= offset })
	if i == len(l.entries) {
		return nil
	}
	return l.entries[i]
}

// offset is where a consumer of a stream begins.
type offset struct {
	name string // first, last or next
	at   uint64 // if not named
	time time.Time
	ago  time.Duration
}

// parseOffset reads the argument x-stream-offset.
func parseOffset(v any) (offset, bool) {
	switch v := v.(type) {
	case string:
		switch v {
		case "first", "last", "next":
			return offset{name: v}, true
		}
		seconds, ok := parseMaxAge(v)
		return offset{ago: time.Duration(seconds) * time.Second}, ok
	case time.Time:
		return offset{time: v}, true
	}
	n, ok := integer(v)
	return offset{at: uint64(n)}, ok && n >= 0
}

// startStream sets where c begins.
func (q *Queue) startStream(c *Consumer) *Refusal {
	switch {
	case c.Prefetch == 0 && q.vhost.Before40:
		return Refuse(PreconditionFailed, "consumer prefetch count is not set for '%s'", q.resource())
	case c.Prefetch == 0:
		return Refuse(PreconditionFailed, "consumer prefetch count is not set for stream %s", q.resource())
	case c.NoAck && q.vhost.Before40:
		return Refuse(NotImplemented, "automatic acknowledgement not supported by stream queues %s", q.resource())
	case c.NoAck:
		return Refuse(NotImplemented, "automatic acknowledgement not supported by stream %s", q.resource())
	}
	spec := offset{name: "next"}
	if v, ok := c.Arguments[argStreamOffset]; ok {
		spec, _ = parseOffset(v) // checked before
	}
	if spec.ago > 0 {
		spec.time = q.vhost.Now().Add(-spec.ago)
	}
	switch {
	case spec.name == "first":
		c.next = 0
	case spec.name == "next":
		c.next = q.log.next
	case spec.name == "last":
		c.next = max(q.log.next, 1) - 1
	case !spec.time.IsZero():
		c.next = q.log.since(spec.time)
	default:
		c.next = spec.at
	}
	return nil
}

// since returns the offset of the first message that is not older than t.
func (l *streamLog) since(t time.Time) uint64 {
	for _, e := range l.entries {
		if !e.published.Truncate(time.Second).Before(t) {
			return e.Offset
		}
	}
	return l.next
}

// settleStream gives every consumer what it has not seen.
func (q *Queue) settleStream() {
	for _, c := range slices.Clone(q.consumers) {
		for c.ready() {
			e := q.log.at(c.next)
			if e == nil {
				break
			}
			c.next = e.Offset + 1
			if !c.wants(e) {
				continue
			}
			c.unacked++
			q.unacked++
			c.Sink.Deliver(c, e)
		}
	}
}

// wants reports whether the consumer's filter lets a message pass. RabbitMQ's, which works on groups of
// messages, lets more pass; clients have to look themselves.
func (c *Consumer) wants(e *Entry) bool {
	filter, ok := c.Arguments[argStreamFilter]
	if !ok {
		return true
	}
	value, has := e.Message.Headers()[argStreamFilter+"-value"].(string)
	if !has {
		unfiltered, _ := c.Arguments["x-stream-match-unfiltered"].(bool)
		return unfiltered
	}
	if several, ok := filter.([]any); ok {
		return slices.Contains(several, any(value))
	}
	return filter == any(value)
}

// truncate drops the segments that are too old or too much, but for the last.
func (l *streamLog) truncate(maxBytes int64, maxAge time.Duration, now time.Time) {
	for len(l.segments) > 1 {
		s := l.segments[0]
		if (maxBytes < 0 || l.bytes <= maxBytes) && (maxAge == 0 || now.Sub(s.last) <= maxAge) {
			return
		}
		l.bytes -= s.bytes
		l.entries = slices.Delete(l.entries, 0, s.entries)
		l.segments = l.segments[1:]
	}
}

// Properties returns the encoded properties with what the queue says about the message: how often a quorum
// queue has delivered it, at which offset a stream holds it. RabbitMQ 3.10 tells clients that get a message more
// than those that consume.
func (e *Entry) Properties(q *Queue, get bool) []byte {
	raw := e.Message.Properties
	switch {
	case q.Kind == kindStream:
		return EditProperties(raw, func(p *wire.Properties) {
			setHeader(p, argStreamOffset, int64(e.Offset))
			if !q.vhost.Before40 {
				p.DeliveryMode = max(p.DeliveryMode, 1)
			}
		})
	case q.Kind == kindQuorum && (e.acquired > 0 || get && q.vhost.Before40):
		return EditProperties(raw, func(p *wire.Properties) {
			if !q.vhost.Before43 {
				setHeader(p, "x-acquired-count", int64(e.acquired))
			}
			if e.failed > 0 || get && q.vhost.Before40 {
				setHeader(p, "x-delivery-count", int64(e.failed))
			}
		})
	}
	return raw
}

func setHeader(p *wire.Properties, key string, value any) {
	if p.Headers == nil {
		p.Headers = wire.Table{}
	}
	p.Headers[key] = value
}
