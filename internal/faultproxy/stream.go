package faultproxy

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// stream is one way of a link.
type stream struct {
	link     *link
	way      lane
	src, dst *net.TCPConn
	framer   framer
	contents map[uint16]*faulty  // of the sender, under a fault, by channel
	going    map[uint16]*content // that the receiver has begun to get, by channel

	mu       sync.Mutex // guards the following
	injected chunks     // to send as soon as possible
}

func newStream(l *link, way lane, dst, src *net.TCPConn) *stream {
	return &stream{link: l, way: way, src: src, dst: dst, contents: map[uint16]*faulty{}, going: map[uint16]*content{}}
}

// cut is where a frame of a batch ends. The zero frame is bytes that are none.
type cut struct {
	frame wire.Frame
	end   int
}

// batch is what is forwarded at once.
type batch struct {
	bytes []byte
	cuts  []cut
	reset bool // then the connection is cut
}

func (b *batch) add(raw []byte, f wire.Frame) {
	b.bytes = append(b.bytes, raw...)
	b.cuts = append(b.cuts, cut{f, len(b.bytes)})
}

// runPump forwards one way. The end of the stream ends this way only, as a half-close
// does; any error ends the link.
func (s *stream) runPump() {
	for {
		n, err := s.src.Read(s.framer.room())
		s.framer.took(n)
		ended := errors.Is(err, io.EOF)
		woken := errors.Is(err, os.ErrDeadlineExceeded)
		if woken {
			_ = s.src.SetReadDeadline(time.Time{}) // before looking for what was injected
		}
		if passErr := s.pass(ended); passErr != nil || err != nil && !ended && !woken {
			s.link.proxy.countCut(passErr)
			s.link.abort()
			return
		}
		if ended {
			s.end()
			return
		}
	}
}

// end passes the end of the stream on, unless nothing passes.
func (s *stream) end() {
	if s.link.proxy.waitResumed(s.link.ctx, s.way) == nil && !s.link.proxy.swallows(s.way) && !s.link.is(&s.link.lost, s.way) {
		s.link.closeWrite(s.way, s.dst)
	}
}

// pass forwards what has come whole, all of it at the end of the stream.
func (s *stream) pass(ended bool) error {
	var b batch
	rest := s.framer.buf
	if !s.isAMQP(rest) {
		b.add(rest, wire.Frame{})
		rest = nil
	}
	for len(rest) > 0 && !b.reset {
		s.addInjected(&b)
		raw, frame, ok := s.framer.next(rest)
		if !ok {
			break
		}
		rest = rest[len(raw):]
		s.judge(&b, raw, frame)
	}
	if ended && !b.reset {
		b.add(rest, wire.Frame{})
		rest = nil
	}
	if err := s.link.forward(s.way, s.dst, b.bytes, b.cuts); err != nil {
		return err
	}
	if b.reset {
		return errCut
	}
	s.framer.keep(rest)
	return s.sendInjected()
}

// isAMQP reports whether to look for frames: from the protocol header of the client on.
func (s *stream) isAMQP(b []byte) bool {
	if s.way == toClient || s.link.amqp.Load() {
		return s.link.amqp.Load()
	}
	const name = "AMQP"
	switch n := min(len(b), len(name)); {
	case s.framer.plain || string(b[:n]) != name[:n]:
		s.framer.plain = true
	case n == len(name):
		s.link.amqp.Store(true)
	}
	return true
}

// judge adds a frame to the batch as the faults will have it.
func (s *stream) judge(b *batch, raw []byte, f wire.Frame) {
	if f.Type == 0 {
		b.add(raw, f)
		return
	}
	if c := s.contents[f.Channel]; c != nil && f.Type != wire.FrameMethod {
		s.continueContent(b, c, raw, f)
		return
	}
	fault := s.link.proxy.fault(s.way, f)
	if fault == nil {
		s.put(b, raw, f)
		return
	}
	switch action := fault.rule.Do; action {
	case Drop, Hold, Duplicate:
		c := &faulty{fault: fault}
		s.apply(b, c, raw, f)
		if beginsContent(f) {
			s.contents[f.Channel] = c
			return
		}
		s.finish(b, c)
	case Corrupt:
		raw = slices.Clone(raw)
		raw[len(raw)-1] ^= 0xff
		b.add(raw, wire.Frame{})
	case Edit:
		s.edit(b, fault.rule.Edit(slices.Clone(raw)))
	case CutBefore:
		b.reset = true
	case CutInside:
		b.add(raw[:len(raw)/2], wire.Frame{})
		b.reset = true
	case CutAfter:
		s.put(b, raw, f)
		b.reset = true
	}
}
