package faultproxy

import "github.com/warren-mq/warren/core/wire"

// Observer sees the frames of one connection as the other side gets them: behind all
// faults, right before they are written. Its methods are called by the goroutines of
// the connection's two directions and must not block. A frame's payload is theirs
// during the call only.
type Observer interface {
	ToBroker(wire.Frame)
	ToClient(wire.Frame)
	Close() // the connection is gone, in both directions
}

// Observe has each connection accepted from now on watched by an observer that
// newObserver returns. Nil ends that.
func (p *Proxy) Observe(newObserver func() Observer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newObserver = newObserver
}

// observe tells the observer of frames that are about to be forwarded.
func (l *link) observe(way lane, f wire.Frame) {
	switch {
	case l.observer == nil || f.Type == 0:
	case way == toUpstream:
		l.observer.ToBroker(f)
	default:
		l.observer.ToClient(f)
	}
}
