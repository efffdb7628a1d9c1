package faultproxy

import "time"

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// inject has frames sent by the stream's own goroutine, once that is woken.
func (s *stream) inject(frames []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.injected = append(s.injected, frames...)
}

// wakeUp has the stream's goroutine look for what was injected.
func (s *stream) wakeUp() { _ = s.src.SetReadDeadline(past) }

// addInjected adds what was injected meanwhile to the batch.
func (s *stream) addInjected(b *batch) {
	s.mu.Lock()
	frames := s.injected
	s.injected = nil
	s.mu.Unlock()
	s.edit(b, frames)
}

// sendInjected forwards what was injected meanwhile.
func (s *stream) sendInjected() error {
	var b batch
	s.addInjected(&b)
	return s.link.forward(s.way, s.dst, b.bytes, b.cuts)
}

// Inject sends frames in dir on every connection that has spoken AMQP, between the
// frames that pass. The sender of those frames learns nothing of it.
func (p *Proxy) Inject(dir Direction, frames []byte) {
	for _, l := range p.openLinks() {
		for way, s := range l.opened() {
			if s != nil && dir&(1<<way) != 0 && l.amqp.Load() {
				s.inject(frames)
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
