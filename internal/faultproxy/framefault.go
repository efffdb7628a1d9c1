package faultproxy

import (
	"slices"
	"sync"

	"github.com/warren-mq/warren/core/wire"
)

// Action is what a [FrameFault] does with a frame.
type Action uint8

// The actions. What begins with a method that has content (publish, return, deliver,
// get-ok) is dropped, held or duplicated with it. A cut resets both sides of the connection.
const (
	Drop      Action = iota + 1 // the other side never sees it
	Hold                        // it comes when the fault is lifted, behind what passed meanwhile; of a channel, in order
	Duplicate                   // it comes twice
	Corrupt                     // its last octet is not the one that ends a frame
	Edit                        // it comes as [FrameRule.Edit] returns it
	CutBefore                   // the connection is cut before it
	CutInside                   // … in its middle
	CutAfter                    // … behind it: between a publish and its header, for instance
)

// FrameRule says which frames a fault is about, and what becomes of them. Bytes that
// are no frame, such as TLS, match no rule.
type FrameRule struct {
	Dir     Direction     // 0: both
	Method  wire.MethodID // 0: any
	Type    uint8         // of frame, such as wire.FrameBody; 0: any
	Channel uint16        // 0: any
	Skip    int           // matches to let pass first, over all connections
	Times   int           // matches to act on then; 0: all
	Do      Action
	Edit    func(frame []byte) []byte // gets the whole frame, to keep or change, and returns what to send instead
}

// FrameFault is a [FrameRule] in force.
type FrameFault struct {
	proxy *Proxy
	rule  FrameRule

	mu     sync.Mutex // guards the following
	seen   int
	hits   int
	lifted bool
	held   []heldFrames
}

// heldFrames are frames kept back on one way of a connection.
type heldFrames struct {
	stream *stream
	frames chunks
}

// Frames puts a fault on frames into force. Of several that match a frame the oldest
// acts. It ends with [FrameFault.Lift].
func (p *Proxy) Frames(rule FrameRule) *FrameFault {
	if rule.Dir == 0 {
		rule.Dir = Both
	}
	f := &FrameFault{proxy: p, rule: rule}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frameFaults = append(p.frameFaults[:len(p.frameFaults):len(p.frameFaults)], f)
	return f
}

// Hits returns how many frames, contents counted once, the fault has acted on.
func (f *FrameFault) Hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

// Lift ends the fault. What it holds is forwarded, where the connection is still there.
func (f *FrameFault) Lift() {
	f.proxy.remove(f)
	f.mu.Lock()
	f.lifted = true
	held := f.held
	f.held = nil
	for _, h := range held {
		h.stream.inject(h.frames) // before anybody sees that the fault is lifted
	}
	f.mu.Unlock()
	for _, h := range held {
		h.stream.wakeUp()
	}
}

func (p *Proxy) remove(f *FrameFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var left []*FrameFault
	for _, other := range p.frameFaults {
		if other != f {
			left = append(left, other)
		}
	}
	p.frameFaults = left
}

// strikes reports whether the fault acts on a frame.
func (f *FrameFault) strikes(way lane, frame wire.Frame) bool {
	r := &f.rule
	if r.Dir&(1<<way) == 0 || r.Channel != 0 && r.Channel != frame.Channel || r.Type != 0 && r.Type != frame.Type {
		return false
	}
	if r.Method != 0 {
		if id, ok := wire.PeekMethod(frame.Payload); frame.Type != wire.FrameMethod || !ok || id != r.Method {
			return false
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen++; f.lifted || f.seen <= r.Skip || r.Times > 0 && f.seen > r.Skip+r.Times {
		return false
	}
	f.hits++
	return true
}

// hold keeps frames of a channel back until the fault is lifted, false if it is.
func (f *FrameFault) hold(s *stream, channel uint16, frames []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lifted {
		return false
	}
	i := slices.IndexFunc(f.held, func(h heldFrames) bool { return h.stream == s })
	if i < 0 {
		i, f.held = len(f.held), append(f.held, heldFrames{stream: s})
	}
	f.held[i].frames = f.held[i].frames.add(channel, frames)
	return true
}

// fault returns the fault that acts on a frame, nil if none does.
func (p *Proxy) fault(way lane, frame wire.Frame) *FrameFault {
	p.mu.Lock()
	faults := p.frameFaults // never changed in place
	p.mu.Unlock()
	for _, f := range faults {
		if f.strikes(way, frame) {
			return f
		}
	}
	return nil
}
