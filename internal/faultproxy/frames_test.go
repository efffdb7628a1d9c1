package faultproxy_test

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/faultproxy"
)

// amqpPair returns the two ends of a connection whose client has said that it speaks AMQP.
func amqpPair(t *testing.T, prepare ...func(*faultproxy.Proxy)) (p *faultproxy.Proxy, client, upstream *net.TCPConn) {
	t.Helper()
	l := listen(t)
	p = newProxy(t, l.Addr().String())
	for _, f := range prepare {
		f(p)
	}
	client = dial(t, p.Addr())
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	upstream = bounded(t, conn)
	send(t, client, wire.ProtocolHeader)
	expect(t, upstream, wire.ProtocolHeader)
	return p, client, upstream
}

func ack(tag uint64) string { return string(wire.AppendAck(nil, 1, tag, false)) }

// message is a method with content, its body in frames of 4 KiB at most.
func message(channel uint16, m wire.Method, body string) string {
	b, err := wire.AppendMethod(nil, channel, m)
	if err == nil {
		b, err = wire.AppendHeader(b, channel, wire.ClassBasic, uint64(len(body)), nil)
	}
	if err != nil {
		panic(err)
	}
	return string(wire.AppendBody(b, channel, []byte(body), wire.FrameMinSize))
}

func publish(body string) string {
	return message(1, &wire.BasicPublish{RoutingKey: "k"}, body)
}

// split returns where the method, the header and the first body frame of a message end.
func split(s string) (ends []int) {
	for end := 0; end < len(s); {
		_, n, err := wire.ParseFrame([]byte(s[end:]), 0)
		if err != nil || n == 0 {
			panic("no frame")
		}
		end += n
		ends = append(ends, end)
	}
	return ends
}

func TestDropTheConfirmsThatTheRuleCounts(t *testing.T) {
	p, client, upstream := amqpPair(t)
	f := p.Frames(faultproxy.FrameRule{
		Dir: faultproxy.ToClient, Method: wire.MethodBasicAck, Skip: 1, Times: 2, Do: faultproxy.Drop,
	})
	send(t, upstream, ack(1)+ack(2)+ack(3)+ack(4))
	expect(t, client, ack(1)+ack(4))
	send(t, client, ack(5)) // the other direction
	expect(t, upstream, ack(5))
	if f.Hits() != 2 {
		t.Errorf("%d hits, want 2", f.Hits())
	}
	f.Lift()
	send(t, upstream, ack(6))
	expect(t, client, ack(6))
}

func TestDropAContentAsAWhole(t *testing.T) {
	p, client, upstream := amqpPair(t)
	f := p.Frames(faultproxy.FrameRule{Method: wire.MethodBasicReturn, Times: 1, Do: faultproxy.Drop})
	gone := message(1, &wire.BasicReturn{ReplyCode: 312}, strings.Repeat("b", 10_000))
	other := message(2, &wire.BasicDeliver{}, "on another channel")
	empty := message(1, &wire.BasicReturn{ReplyCode: 312}, "")
	ends := split(gone)
	send(t, upstream, gone[:ends[1]]+other+gone[ends[1]:]+ack(1)+empty)
	expect(t, client, other+ack(1)+empty)
	if f.Hits() != 1 {
		t.Errorf("%d hits, want 1", f.Hits())
	}
}

func TestHeldConfirmsComeWhenTheFaultIsLifted(t *testing.T) {
	p, client, upstream := amqpPair(t)
	f := p.Frames(faultproxy.FrameRule{Dir: faultproxy.ToClient, Method: wire.MethodBasicAck, Do: faultproxy.Hold})
	heartbeat := string(wire.AppendHeartbeat(nil))
	send(t, upstream, ack(1)+heartbeat+ack(2))
	expect(t, client, heartbeat)
	expectSilence(t, client)
	f.Lift()
	expect(t, client, ack(1)+ack(2))
	send(t, upstream, ack(3))
	expect(t, client, ack(3))
	f.Lift() // once more is harmless
	expectSilence(t, client)
}

func TestWhatIsHeldForAClosedConnectionIsGone(t *testing.T) {
	p, client, upstream := amqpPair(t)
	f := p.Frames(faultproxy.FrameRule{Method: wire.MethodBasicAck, Do: faultproxy.Hold})
	send(t, upstream, ack(1)+string(wire.AppendHeartbeat(nil)))
	expect(t, client, string(wire.AppendHeartbeat(nil)))
	p.Reset()
	expectReset(t, client)
	f.Lift()
}

func TestDuplicateAFrameAndAContent(t *testing.T) {
	p, client, upstream := amqpPair(t)
	p.Frames(faultproxy.FrameRule{Method: wire.MethodBasicAck, Times: 1, Do: faultproxy.Duplicate})
	p.Frames(faultproxy.FrameRule{Method: wire.MethodBasicPublish, Do: faultproxy.Duplicate})
	send(t, upstream, ack(1)+ack(2))
	expect(t, client, ack(1)+ack(1)+ack(2))
	m := publish("body")
	send(t, client, m)
	expect(t, upstream, m+m)
}

func TestCorruptAndEditAFrame(t *testing.T) {
	p, client, upstream := amqpPair(t)
	edit := p.Frames(faultproxy.FrameRule{Method: wire.MethodBasicAck, Do: faultproxy.Edit, Edit: func([]byte) []byte {
		return []byte(ack(7) + ack(8))
	}})
	send(t, upstream, ack(1))
	expect(t, client, ack(7)+ack(8))
	edit.Lift()
	p.Frames(faultproxy.FrameRule{Method: wire.MethodBasicAck, Do: faultproxy.Corrupt})
	send(t, upstream, ack(1))
	good := ack(1)
	expect(t, client, good[:len(good)-1]+"\x31")
}

func TestCutAtAFrame(t *testing.T) {
	first, m := publish("first"), publish(strings.Repeat("b", 6000))
	ends := split(m) // method, header, body, body
	method, header := wire.MethodBasicPublish, uint8(wire.FrameHeader)
	for name, c := range map[string]struct {
		rule faultproxy.FrameRule
		want string
	}{
		"before the second publish": {faultproxy.FrameRule{Method: method, Skip: 1, Do: faultproxy.CutBefore}, first},
		"inside its method":         {faultproxy.FrameRule{Method: method, Skip: 1, Do: faultproxy.CutInside}, first + m[:ends[0]/2]},
		"between method and header": {faultproxy.FrameRule{Method: method, Skip: 1, Do: faultproxy.CutAfter}, first + m[:ends[0]]},
		"between header and body":   {faultproxy.FrameRule{Type: header, Skip: 1, Do: faultproxy.CutAfter}, first + m[:ends[1]]},
		"in the middle of the body": {faultproxy.FrameRule{Type: wire.FrameBody, Skip: 1, Do: faultproxy.CutInside}, first + m[:ends[1]+(ends[2]-ends[1])/2]},
		"between its body frames":   {faultproxy.FrameRule{Type: wire.FrameBody, Skip: 2, Do: faultproxy.CutBefore}, first + m[:ends[2]]},
		"after the last one":        {faultproxy.FrameRule{Type: wire.FrameBody, Skip: 2, Do: faultproxy.CutAfter}, first + m},
	} {
		t.Run(name, func(t *testing.T) {
			p, client, upstream := amqpPair(t)
			f := p.Frames(c.rule)
			send(t, client, first+m)
			if got := expectReset(t, upstream); got != c.want && !strings.HasPrefix(c.want, got) {
				t.Errorf("%d bytes came, want %d", len(got), len(c.want))
			}
			expectReset(t, client)
			if f.Hits() != 1 || p.Stats().Cuts != 1 {
				t.Errorf("%d hits, %d cuts; want one", f.Hits(), p.Stats().Cuts)
			}
		})
	}
}

func TestFramesAreFoundHoweverTheyAreSliced(t *testing.T) {
	p, client, upstream := amqpPair(t)
	p.Frames(faultproxy.FrameRule{Method: wire.MethodBasicAck, Times: 1, Do: faultproxy.Drop})
	_ = client.SetNoDelay(true)
	for _, b := range []byte(ack(1) + ack(2)) {
		send(t, client, string([]byte{b}))
	}
	expect(t, upstream, ack(2))
	large := string(wire.AppendBody(nil, 1, bytes.Repeat([]byte("b"), 1<<20), 0))
	var sender sync.WaitGroup
	sender.Go(func() { send(t, client, large) })
	expect(t, upstream, large)
	sender.Wait()
}

func TestWhatIsNoAMQPMatchesNoRule(t *testing.T) {
	p, client, upstream := pair(t)
	p.Frames(faultproxy.FrameRule{Do: faultproxy.Drop})
	send(t, client, ack(1))
	expect(t, upstream, ack(1))
	send(t, upstream, ack(2))
	expect(t, client, ack(2))
}

func TestBytesBehindBrokenFramesPass(t *testing.T) {
	_, client, upstream := amqpPair(t)
	send(t, client, ack(1)+"no frame"+ack(2))
	expect(t, upstream, ack(1)+"no frame"+ack(2))
}

func TestInjectForgesFrames(t *testing.T) {
	p, client, upstream := amqpPair(t)
	send(t, upstream, ack(1))
	expect(t, client, ack(1))
	p.Inject(faultproxy.ToClient, []byte(ack(2)))
	expect(t, client, ack(2))
	expectSilence(t, upstream)
	send(t, upstream, ack(3))
	expect(t, client, ack(3))
}

func TestHalfCloseEndsOneWay(t *testing.T) {
	p, client, upstream := amqpPair(t)
	p.HalfClose(faultproxy.ToUpstream)
	if n, err := upstream.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatalf("read %d bytes, %v; want the end", n, err)
	}
	send(t, client, ack(1)) // swallowed
	send(t, upstream, ack(2))
	expect(t, client, ack(2))
}

func TestBlackholeSwallowsOneWay(t *testing.T) {
	p, client, upstream := amqpPair(t)
	p.Blackhole(faultproxy.ToUpstream, true)
	send(t, client, ack(1))
	expectSilence(t, upstream)
	send(t, upstream, ack(2))
	expect(t, client, ack(2))
	p.Blackhole(faultproxy.ToUpstream, false)
	send(t, client, ack(3)) // behind what is lost
	expectReset(t, upstream)
	expectReset(t, client)
	if s := p.Stats(); s.Swallowed != int64(len(ack(1))) {
		t.Errorf("%d bytes swallowed, want %d", s.Swallowed, len(ack(1)))
	}
}

func TestBlackholeSwallowsTheEndOfTheStream(t *testing.T) {
	p, client, upstream := amqpPair(t)
	p.Blackhole(faultproxy.Both, true)
	client.Close()
	expectSilence(t, upstream)
}

// watcher notes what passes.
type watcher struct {
	mu     sync.Mutex // guards the following
	seen   []string
	closed int
	done   chan struct{}
}

func (w *watcher) note(way string, f wire.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id, _ := wire.PeekMethod(f.Payload)
	w.seen = append(w.seen, way+id.String())
}

func (w *watcher) ToBroker(f wire.Frame) { w.note("> ", f) }
func (w *watcher) ToClient(f wire.Frame) { w.note("< ", f) }
func (w *watcher) Close()                { w.closed++; close(w.done) }

func TestObserverSeesWhatPasses(t *testing.T) {
	w := &watcher{done: make(chan struct{})}
	p, client, upstream := amqpPair(t, func(p *faultproxy.Proxy) {
		p.Observe(func() faultproxy.Observer { return w })
	})
	drop := p.Frames(faultproxy.FrameRule{Method: wire.MethodBasicNack, Do: faultproxy.Drop})
	p.Frames(faultproxy.FrameRule{Method: wire.MethodBasicReject, Do: faultproxy.Duplicate})
	p.Slice(3)
	send(t, upstream, ack(1)+string(wire.AppendNack(nil, 1, 2, false, true))+string(wire.AppendReject(nil, 1, 3, false)))
	reject := string(wire.AppendReject(nil, 1, 3, false))
	expect(t, client, ack(1)+reject+reject)
	p.Inject(faultproxy.ToUpstream, []byte(ack(4)))
	expect(t, upstream, ack(4))
	p.Blackhole(faultproxy.ToUpstream, true)
	send(t, client, ack(5))
	send(t, upstream, ack(6))
	expect(t, client, ack(6))
	p.Reset()
	<-w.done
	want := []string{"< basic.ack", "< basic.reject", "< basic.reject", "> basic.ack", "< basic.ack"}
	if !slices.Equal(w.seen, want) || w.closed != 1 {
		t.Errorf("seen %q and %d ends, want %q and one", w.seen, w.closed, want)
	}
	if drop.Hits() != 1 {
		t.Errorf("%d hits, want 1", drop.Hits())
	}
}

func TestObserverIsToldBeforeTheReceiver(t *testing.T) {
	told := make(chan struct{})
	p, client, upstream := amqpPair(t, func(p *faultproxy.Proxy) {
		p.Observe(func() faultproxy.Observer { return signal(told) })
	})
	p.Pause(faultproxy.ToClient)
	send(t, upstream, ack(1))
	expectSilence(t, client)
	select {
	case <-told:
		t.Error("told of a frame that a pause holds back")
	default:
	}
	p.Resume(faultproxy.ToClient)
	expect(t, client, ack(1))
	<-told // it is closed already
}

// signal is an observer that is closed by the first frame to the client.
type signal chan struct{}

func (signal) ToBroker(wire.Frame)   {}
func (s signal) ToClient(wire.Frame) { close(s) }
func (signal) Close()                {}
