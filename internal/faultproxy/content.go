package faultproxy

import "github.com/warren-mq/warren/core/wire"

// content is a message whose frames are on their way.
type content struct {
	began bool   // the header has come
	left  uint64 // bytes of the body still to come
}

// follow takes a header or body and reports whether the content ends with it.
func (c *content) follow(f wire.Frame) (ended bool) {
	switch {
	case f.Type == wire.FrameHeader && !c.began:
		c.began = true
		if len(f.Payload) >= 12 {
			c.left = bodySize(f.Payload)
		}
	case f.Type == wire.FrameBody:
		c.left -= min(c.left, uint64(len(f.Payload)))
	}
	return c.began && c.left == 0
}

// bodySize reads the size of the body from a content header's payload.
func bodySize(payload []byte) (n uint64) {
	for _, b := range payload[4:12] {
		n = n<<8 | uint64(b)
	}
	return n
}

// beginsContent reports whether header and body follow a frame.
func beginsContent(f wire.Frame) bool {
	id, ok := wire.PeekMethod(f.Payload)
	return f.Type == wire.FrameMethod && ok && wire.HasContent(id)
}

// faulty is a content whose method was dropped, held or duplicated.
type faulty struct {
	content
	fault  *FrameFault
	copied []byte // what is to come twice
}

// put adds a whole frame to the batch, and notes where its channel stands then: inside
// a content nothing else may come on it.
func (s *stream) put(b *batch, raw []byte, f wire.Frame) {
	b.add(raw, f)
	going := s.going[f.Channel]
	switch {
	case beginsContent(f):
		s.going[f.Channel] = &content{}
	case going != nil && (f.Type == wire.FrameMethod || going.follow(f)):
		delete(s.going, f.Channel)
	}
}

// edit adds frames that did not come so.
func (s *stream) edit(b *batch, raw []byte) {
	for len(raw) > 0 {
		f, n, err := wire.ParseFrame(raw, maxFrame)
		if err != nil || n == 0 {
			b.add(raw, wire.Frame{})
			return
		}
		s.put(b, raw[:n], f)
		raw = raw[n:]
	}
}

// continueContent treats a header or body as its method was.
func (s *stream) continueContent(b *batch, c *faulty, raw []byte, f wire.Frame) {
	s.apply(b, c, raw, f)
	if c.follow(f) {
		delete(s.contents, f.Channel)
		s.finish(b, c)
	}
}

// apply does with one frame what its fault does with the whole.
func (s *stream) apply(b *batch, c *faulty, raw []byte, f wire.Frame) {
	switch c.fault.rule.Do {
	case Hold:
		if !c.fault.hold(s, f.Channel, raw) {
			s.addInjected(b) // the beginning of the content, if the fault was lifted in its middle
			s.put(b, raw, f)
		}
	case Duplicate:
		s.put(b, raw, f)
		c.copied = append(c.copied, raw...)
	}
}

// finish adds the second copy of what is complete.
func (s *stream) finish(b *batch, c *faulty) { s.edit(b, c.copied) }
