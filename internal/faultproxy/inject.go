package faultproxy

import "time"

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// inject has frames sent by the stream's own goroutine, which it wakes.
func (s *stream) inject(frames []byte) {
	s.mu.Lock()
	s.injected = append(s.injected, frames...)
	s.mu.Unlock()
	_ = s.src.SetReadDeadline(past)
}

// sendInjected forwards what was injected meanwhile.
func (s *stream) sendInjected() error {
	s.mu.Lock()
	frames := s.injected
	s.injected = nil
	s.mu.Unlock()
	if len(frames) == 0 {
		return nil
	}
	var b batch
	s.edit(&b, frames)
	return s.link.forward(s.way, s.dst, b.bytes, b.cuts)
}

// Inject sends frames in dir on every connection that has spoken AMQP, between the
// frames that pass. The sender of those frames learns nothing of it.
func (p *Proxy) Inject(dir Direction, frames []byte) {
	for _, l := range p.openLinks() {
		for way, s := range l.opened() {
			if s != nil && dir&(1<<way) != 0 && l.amqp.Load() {
				s.inject(frames)
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
