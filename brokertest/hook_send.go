package brokertest

import (
	"net"

	"github.com/warren-mq/warren/core/wire"
)

// sender takes what a connection writes apart, and asks about it.
type sender struct {
	c       *conn
	decoder wire.Decoder
	passed  []byte // to write
}

// write writes whole frames, asking about each, and what is behind octets that are none as it is. It runs on the writer's
// goroutine, without Broker.mu.
func (s *sender) write(buf []byte) error {
	for len(buf) > 0 {
		f, n, err := wire.ParseFrame(buf, 0)
		if err != nil || n == 0 { // a protocol header, or octets from Inject
			s.passed = append(s.passed, buf...)
			break
		}
		end := n
		if f.Type == wire.FrameMethod {
			end = unitEnd(buf, n, f)
			a := s.ask(f, buf[n:end])
			if ok, err := s.obey(a, f.Channel); err != nil || !ok {
				if err != nil {
					return err
				}
				buf = buf[end:]
				continue
			}
		}
		if err := s.frames(buf[:end]); err != nil {
			return err
		}
		buf = buf[end:]
	}
	return s.flush()
}

// unitEnd returns where a method ends whose first frame ends at n, with the content behind it.
func unitEnd(buf []byte, n int, f wire.Frame) int {
	id, _ := wire.PeekMethod(f.Payload)
	if !wire.HasContent(id) {
		return n
	}
	for n < len(buf) {
		next, size, err := wire.ParseFrame(buf[n:], 0)
		if err != nil || size == 0 || next.Channel != f.Channel || next.Type != wire.FrameHeader && next.Type != wire.FrameBody {
			break
		}
		n += size
	}
	return n
}

// ask asks about a method and its content.
func (s *sender) ask(f wire.Frame, content []byte) Action {
	m, err := s.decoder.Method(f.Payload)
	if err != nil {
		return Pass
	}
	e := Event{Connection: s.c.id, Channel: f.Channel, Method: m}
	for len(content) > 0 {
		part, n, _ := wire.ParseFrame(content, 0)
		content = content[n:]
		if part.Type == wire.FrameBody {
			e.Body = append(e.Body, part.Payload...)
		} else if h, err := s.decoder.Header(part.Payload); err == nil {
			e.Properties, _ = wire.DecodeProperties(h.Properties)
		}
	}
	b := s.c.b
	b.mu.Lock()
	b.note(e, false)
	hooks := b.sending
	b.mu.Unlock()
	return b.ask(hooks, e)
}

// frames asks about each frame and keeps those that pass.
func (s *sender) frames(buf []byte) error {
	b := s.c.b
	b.mu.Lock()
	hooks := b.sending
	b.mu.Unlock()
	for len(buf) > 0 {
		f, n, _ := wire.ParseFrame(buf, 0)
		a := b.askFrame(hooks, Frame{Connection: s.c.id, Channel: f.Channel, Type: f.Type, Size: len(f.Payload)})
		ok, err := s.obey(a, f.Channel)
		if err != nil {
			return err
		}
		if ok {
			s.passed = append(s.passed, buf[:n]...)
		}
		buf = buf[n:]
	}
	return nil
}

// obey carries an answer out. It returns false if what was asked about is not to be written.
func (s *sender) obey(a Action, channel uint16) (bool, error) {
	if a.passes() {
		return true, nil
	}
	if a.delay > 0 || a.hang || a.cut || a.end {
		if err := s.flush(); err != nil {
			return false, err
		}
		s.c.obey(a)
	}
	if a.hang || a.cut || a.end {
		return false, net.ErrClosed
	}
	for _, m := range a.replies {
		s.passed, _ = wire.AppendMethod(s.passed, channel, m)
		if wire.HasContent(m.ID()) {
			s.passed, _ = wire.AppendHeader(s.passed, channel, wire.ClassBasic, 0, nil)
		}
	}
	return !a.swallow, nil
}

func (s *sender) flush() error {
	buf := s.passed
	s.passed = s.passed[:0]
	if len(buf) == 0 {
		return nil
	}
	_, err := s.c.nc.Write(buf)
	return err
}
