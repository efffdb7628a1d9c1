package faultproxy

import (
	"net"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// TestLiftInsideAContentKeepsItsOrder lifts a fault that holds the beginning of a content, before the stream has
// sent it and with the rest in hand.
func TestLiftInsideAContentKeepsItsOrder(t *testing.T) {
	var whole []byte
	frames := make([][]byte, 3)
	frames[0], _ = wire.AppendPublish(nil, 1, "", "k", false, false)
	frames[1], _ = wire.AppendHeader(nil, 1, wire.ClassBasic, 4, nil)
	frames[2] = wire.AppendBody(nil, 1, []byte("body"), 0)
	for _, f := range frames {
		whole = append(whole, f...)
	}
	for lifted := range len(frames) + 1 {
		p := &Proxy{ctx: t.Context(), faults: noFaults()}
		fault := p.Frames(FrameRule{Method: wire.MethodBasicPublish, Do: Hold})
		s := newStream(newLink(p, nil, ""), toUpstream, nil, &net.TCPConn{})
		var b batch
		for n, raw := range frames {
			if n == lifted {
				fault.Lift()
			}
			frame, _, err := wire.ParseFrame(raw, maxFrame)
			if err != nil {
				t.Fatal(err)
			}
			s.judge(&b, raw, frame)
		}
		fault.Lift()
		s.addInjected(&b)
		if string(b.bytes) != string(whole) || len(s.injected)+len(s.going) > 0 {
			t.Errorf("lifted before frame %d: %q came, want %q, and %v waits", lifted, b.bytes, whole, s.injected)
		}
		if b.reset || len(b.cuts) > 0 && b.cuts[len(b.cuts)-1].end != len(b.bytes) {
			t.Errorf("lifted before frame %d: frames end at %v of %d", lifted, b.cuts, len(b.bytes))
		}
	}
}
