package faultproxy

import (
	"slices"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// chunk are frames of one channel, in order.
type chunk struct {
	channel uint16
	frames  []byte
}

// chunks are frames, one chunk of each channel. Between channels there is no order.
type chunks []chunk

// add puts frames of a channel behind the others of it.
func (all chunks) add(channel uint16, frames []byte) chunks {
	i := slices.IndexFunc(all, func(c chunk) bool { return c.channel == channel })
	if i < 0 {
		return append(all, chunk{channel, slices.Clone(frames)})
	}
	all[i].frames = append(all[i].frames, frames...)
	return all
}

// byChannel takes frames apart. What is no frame goes with the one before it.
func byChannel(raw []byte) (all chunks) {
	var channel uint16
	for len(raw) > 0 {
		f, n, err := wire.ParseFrame(raw, maxFrame)
		if err != nil || n == 0 {
			n = len(raw)
		} else {
			channel = f.Channel
		}
		all = all.add(channel, raw[:n])
		raw = raw[n:]
	}
	return all
}

// inject has frames sent by the stream's own goroutine, once that is woken.
func (s *stream) inject(frames chunks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range frames {
		s.injected = s.injected.add(c.channel, c.frames)
	}
}

// wakeUp has the stream's goroutine look for what was injected.
func (s *stream) wakeUp() { _ = s.src.SetReadDeadline(past) }

// addInjected adds what was injected meanwhile to the batch, except on channels whose
// receiver is inside a content: there it waits for the end.
func (s *stream) addInjected(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.injected = slices.DeleteFunc(s.injected, func(c chunk) bool {
		free := s.going[c.channel] == nil
		if free {
			s.edit(b, c.frames)
		}
		return free
	})
}

// sendInjected forwards what was injected meanwhile.
func (s *stream) sendInjected() error {
	var b batch
	s.addInjected(&b)
	return s.link.forward(s.way, s.dst, b.bytes, b.cuts)
}

// Inject sends frames in dir on every connection that has spoken AMQP, between the
// frames and the contents that pass. The sender of those learns nothing of it.
func (p *Proxy) Inject(dir Direction, frames []byte) {
	forged := byChannel(frames)
	for _, l := range p.openLinks() {
		for way, s := range l.opened() {
			if s != nil && dir&(1<<way) != 0 && l.amqp.Load() {
				s.inject(forged)
				s.wakeUp()
			}
		}
	}
}

// HalfClose tells the receivers in dir that nothing more comes (FIN), and swallows
// what the senders still send. The other direction goes on.
func (p *Proxy) HalfClose(dir Direction) {
	for _, l := range p.openLinks() {
		for way, s := range l.opened() {
			if s != nil && dir&(1<<way) != 0 {
				l.closeWrite(s.way, s.dst)
			}
		}
	}
}
