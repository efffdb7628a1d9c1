package faultproxy

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// piece is one write of the proxy.
type piece struct {
	size int
	at   time.Duration // since the start
}

// recorder is a receiver that notes when which pieces come.
type recorder struct {
	start  time.Time
	pieces []piece
	data   bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.pieces = append(r.pieces, piece{len(b), time.Since(r.start)})
	return r.data.Write(b)
}

// forwarding calls test, in fake time, with a link without sockets.
func forwarding(t *testing.T, test func(p *Proxy, l *link, r *recorder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &Proxy{ctx: t.Context(), faults: noFaults()}
		test(p, newLink(p, nil, ""), &recorder{start: time.Now()})
	})
}

func TestForwardShapesTheStream(t *testing.T) {
	data := []byte("0123456789")
	ms := time.Millisecond
	for name, c := range map[string]struct {
		set  func(p *Proxy)
		want []piece
	}{
		"no fault":          {func(*Proxy) {}, []piece{{10, 0}}},
		"slices":            {func(p *Proxy) { p.Slice(4) }, []piece{{4, 0}, {4, 0}, {2, 0}}},
		"slices ended":      {func(p *Proxy) { p.Slice(4); p.Slice(-1) }, []piece{{10, 0}}},
		"latency":           {func(p *Proxy) { p.Latency(30*ms, 0) }, []piece{{10, 30 * ms}}},
		"latency ended":     {func(p *Proxy) { p.Latency(30*ms, 0); p.Latency(0, 0) }, []piece{{10, 0}}},
		"bandwidth":         {func(p *Proxy) { p.Bandwidth(200) }, []piece{{4, 20 * ms}, {4, 40 * ms}, {2, 50 * ms}}},
		"little bandwidth":  {func(p *Proxy) { p.Bandwidth(1); p.Slice(5) }, seconds(10)},
		"bandwidth ended":   {func(p *Proxy) { p.Bandwidth(1); p.Bandwidth(0) }, []piece{{10, 0}}},
		"all":               {func(p *Proxy) { p.Bandwidth(200); p.Slice(3); p.Latency(9*ms, 0) }, []piece{{3, 24 * ms}, {3, 39 * ms}, {3, 54 * ms}, {1, 59 * ms}}},
		"pause other way":   {func(p *Proxy) { p.Pause(ToClient) }, []piece{{10, 0}}},
		"cut other way":     {func(p *Proxy) { p.CutAfter(ToClient, 1) }, []piece{{10, 0}}},
		"cut not reached":   {func(p *Proxy) { p.CutAfter(ToUpstream, 11) }, []piece{{10, 0}}},
		"negative latency":  {func(p *Proxy) { p.Latency(-ms, -ms) }, []piece{{10, 0}}},
		"unlimited, sliced": {func(p *Proxy) { p.Bandwidth(1 << 40); p.Slice(9) }, []piece{{9, 0}, {1, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			forwarding(t, func(p *Proxy, l *link, r *recorder) {
				c.set(p)
				if err := l.forward(toUpstream, r, data, nil); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(r.pieces, c.want) || !bytes.Equal(r.data.Bytes(), data) {
					t.Errorf("forwarded %v, want %v", r.pieces, c.want)
				}
			})
		})
	}
}

// seconds returns n pieces of one byte, one a second.
func seconds(n int) (pieces []piece) {
	for i := range n {
		pieces = append(pieces, piece{1, time.Duration(i+1) * time.Second})
	}
	return pieces
}

func TestJitterStaysWithinItsBounds(t *testing.T) {
	p := &Proxy{faults: noFaults()}
	p.Latency(10, 15)
	seen := map[time.Duration]bool{}
	for range 2000 {
		d := p.delay()
		if d < 0 || d > 25 {
			t.Fatalf("delay %d, want 0 to 25", d)
		}
		seen[d] = true
	}
	if len(seen) < 20 {
		t.Errorf("only %d different delays of 26", len(seen))
	}
}

func TestForwardStopsWithTheLink(t *testing.T) {
	for name, set := range map[string]func(*Proxy){
		"paused":    func(p *Proxy) { p.Pause(Both) },
		"delayed":   func(p *Proxy) { p.Latency(time.Hour, 0) },
		"bandwidth": func(p *Proxy) { p.Bandwidth(1); p.Slice(1) },
	} {
		t.Run(name, func(t *testing.T) {
			forwarding(t, func(p *Proxy, l *link, r *recorder) {
				set(p)
				time.AfterFunc(time.Millisecond, l.cancel)
				err := l.forward(toUpstream, r, []byte("never whole"), nil)
				if !errors.Is(err, context.Canceled) || len(r.pieces) > 0 {
					t.Errorf("forward ended with %v after %v, want context.Canceled after nothing", err, r.pieces)
				}
			})
		})
	}
}

func TestSlicesAreCounted(t *testing.T) {
	forwarding(t, func(p *Proxy, l *link, r *recorder) {
		for _, size := range []int{0, 4, 10, 0} {
			p.Slice(size)
			if err := l.forward(toClient, r, make([]byte, 10), nil); err != nil {
				t.Fatal(err)
			}
		}
		if n := p.Stats().Sliced; n != 2 { // 4, 4 and 2 bytes
			t.Errorf("counted %d, want 2", n)
		}
	})
}

func TestResumeInTheMiddleOfAStream(t *testing.T) {
	forwarding(t, func(p *Proxy, l *link, r *recorder) {
		p.Slice(1)
		p.Bandwidth(1)
		time.AfterFunc(1500*time.Millisecond, func() { p.Pause(Both) })
		time.AfterFunc(10*time.Second, func() { p.Resume(Both) })
		if err := l.forward(toClient, r, []byte("abc"), nil); err != nil {
			t.Fatal(err)
		}
		want := []piece{{1, time.Second}, {1, 10 * time.Second}, {1, 11 * time.Second}}
		if !slices.Equal(r.pieces, want) {
			t.Errorf("forwarded %v, want %v", r.pieces, want)
		}
	})
}

// clock notes when frames pass.
type clock struct {
	start time.Time
	at    []time.Duration
}

func (c *clock) ToBroker(wire.Frame) { c.at = append(c.at, time.Since(c.start)) }
func (c *clock) ToClient(wire.Frame) {}
func (c *clock) Close()              {}

func TestObserverIsToldOfAFrameWithThePieceThatCompletesIt(t *testing.T) {
	forwarding(t, func(p *Proxy, l *link, r *recorder) {
		c := &clock{start: time.Now()}
		l.observer = c
		p.Latency(30*time.Millisecond, 0)
		p.Bandwidth(200) // 4 bytes in 20 ms
		var b batch
		b.add([]byte("12345"), wire.Frame{Type: wire.FrameMethod})
		b.add([]byte("none"), wire.Frame{})
		b.add([]byte("1"), wire.Frame{Type: wire.FrameMethod})
		if err := l.forward(toUpstream, r, b.bytes, b.cuts); err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{70 * time.Millisecond, 80 * time.Millisecond}; !slices.Equal(c.at, want) {
			t.Errorf("told at %v, want %v", c.at, want)
		}
	})
}

func TestBlackholeEndsALinkThatItHasHoled(t *testing.T) {
	forwarding(t, func(p *Proxy, l *link, r *recorder) {
		p.Blackhole(Both, true)
		if err := l.forward(toUpstream, r, []byte("lost"), nil); err != nil {
			t.Fatal(err)
		}
		p.Blackhole(Both, false)
		if err := l.forward(toClient, r, []byte("whole"), nil); err != nil {
			t.Fatal(err)
		}
		if err := l.forward(toUpstream, r, []byte("late"), nil); !errors.Is(err, errCut) {
			t.Errorf("error %v, want a cut", err)
		}
		if got := r.data.String(); got != "whole" {
			t.Errorf("forwarded %q", got)
		}
	})
}
