package brokertest

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
)

// readToEnd returns what comes until the connection ends, and how it does.
func readToEnd(nc net.Conn) (answers []string, octets int, err error) {
	b, err := io.ReadAll(nc)
	var in rawReader
	for _, r := range in.feed(b) {
		answers = append(answers, methodText(r))
	}
	return answers, len(b), err
}

// pipelined is requests in one write.
func pipelined(t *testing.T, nc net.Conn, ms ...wire.Method) {
	t.Helper()
	var b []byte
	for _, m := range ms {
		b, _ = wire.AppendMethod(b, 1, m)
	}
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
}

func inMemory(t *testing.T, b *Broker) net.Conn {
	t.Helper()
	return handshaken(t, func() (net.Conn, error) { return b.DialContext(t.Context(), "tcp", "") })
}

// TestWhatWasAnsweredBeforeTheEndArrives ends connections at the second of two requests that come together: the answer to the
// first may still have to be written.
func TestWhatWasAnsweredBeforeTheEndArrives(t *testing.T) {
	declares := 0
	second := func(a Action) func(Frame) Action {
		return func(f Frame) Action {
			if f.Channel == 1 && f.Type == wire.FrameMethod {
				declares++
			}
			if declares == 3 { // behind channel.open
				declares = 0
				return a
			}
			return Pass
		}
	}
	for name, c := range map[string]struct {
		order func(*Broker) *Hook
		want  error
	}{
		"cut at the method": {func(b *Broker) *Hook {
			return b.OnReceive(wire.MethodQueueDeclare, func(e Event) Action { return map[int]Action{0: Cut}[e.N%2] })
		}, syscall.ECONNRESET},
		"end at the method": {func(b *Broker) *Hook {
			return b.OnReceive(wire.MethodQueueDeclare, func(e Event) Action { return map[int]Action{0: End}[e.N%2] })
		}, nil},
		"cut at the frame": {func(b *Broker) *Hook { return b.OnReceiveFrame(second(Cut)) }, syscall.ECONNRESET},
		"end at the frame": {func(b *Broker) *Hook { return b.OnReceiveFrame(second(End)) }, nil},
		"cut at the octet": {func(b *Broker) *Hook {
			return b.OnReceive(wire.MethodChannelOpen, func(e Event) Action {
				first, _ := wire.AppendMethod(nil, 1, &wire.QueueDeclare{Queue: "q", Durable: true})
				for _, l := range b.Links() {
					if l.Connection() == e.Connection {
						l.CutAfterReceiving(int64(len(first)))
					}
				}
				return Pass
			})
		}, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(t)
				c.order(b)
				for i := range 100 {
					nc := inMemory(t, b)
					declare := &wire.QueueDeclare{Queue: "q", Durable: true}
					pipelined(t, nc, declare, declare)
					answers, _, err := readToEnd(nc)
					if len(answers) != 1 || answers[0] != "queue.declare-ok Queue=q" || !errors.Is(err, c.want) {
						t.Fatalf("connection %d: %q, then %v", i, answers, err)
					}
					_ = nc.Close()
				}
			})
		})
	}
}

// TestACutWaitsForNobodyForEver has the network, or the client, not take what was answered before.
func TestACutWaitsForNobodyForEver(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(*Link)
		after time.Duration
	}{
		"a stalled link":         {func(l *Link) { l.StallSending() }, 0},
		"a link that stalls":     {func(l *Link) { l.StallAfterSending(5) }, 0},
		"a slow link":            {func(l *Link) { l.Slice(1); l.DelayAfterSending(0, time.Minute) }, closeTimeout},
		"a client without hands": {func(l *Link) { l.c.b.InjectBytes(1, make([]byte, 2*memnet.DefaultBuffer)) }, closeTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(t)
				nc := inMemory(t, b)
				b.OnReceive(wire.MethodQueueDelete, Always(Cut))
				declare := &wire.QueueDeclare{Queue: "q", Durable: true}
				c.fault(b.Links()[0])
				pipelined(t, nc, declare, &wire.QueueDelete{Queue: "q"})
				start := time.Now()
				synctest.Wait()
				for len(b.Links()) > 0 && time.Since(start) < time.Hour {
					time.Sleep(300 * time.Millisecond) // never just when it happens
				}
				if d := time.Since(start).Truncate(time.Second); d != c.after {
					t.Errorf("the connection was cut after %v, want %v", d, c.after)
				}
				_ = nc.Close()
			})
		})
	}
}

// TestCutsAreResets cuts connections in every way: none may look like an orderly end.
func TestCutsAreResets(t *testing.T) {
	links := func(f func(*Link)) func(*Broker) {
		return func(b *Broker) {
			for _, l := range b.Links() {
				f(l)
			}
		}
	}
	for name, cut := range map[string]func(*Broker){
		"of the broker": func(b *Broker) { b.Cut() },
		"restart":       func(b *Broker) { b.Restart() },
		"of a link":     links((*Link).Reset),
		"at an octet":   nil,
		"of a method":   nil,
	} {
		for network, dial := range map[string]func(*Broker) (net.Conn, error){
			"memory":   func(b *Broker) (net.Conn, error) { return b.DialContext(t.Context(), "tcp", "") },
			"loopback": func(b *Broker) (net.Conn, error) { return net.Dial("tcp", b.Addr()) },
		} {
			t.Run(name+" in "+network, func(t *testing.T) { cutsAreResets(t, cut, name, dial) })
		}
	}
}

func cutsAreResets(t *testing.T, cut func(*Broker), name string, dial func(*Broker) (net.Conn, error)) {
	b := New(t)
	header := []byte(wire.ProtocolHeader)
	switch name {
	case "at an octet":
		b.OnConnect(func(l *Link) { l.CutAfterSending(100) })
	case "of a method":
		b.OnReceive(wire.MethodConnectionStartOk, Always(Cut))
		header = append(header, startOkFrame()...)
	}
	const connections = 200
	for round := range connections / 50 {
		var ncs []net.Conn
		for range 50 {
			nc, err := dial(b)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = nc.Close() }()
			ncs = append(ncs, nc)
			if _, err := nc.Write(header); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(nc, header[:1]); err != nil { // of connection.start
				t.Fatal(err)
			}
			header[0] = wire.ProtocolHeader[0]
		}
		if cut != nil {
			cut(b)
		}
		for i, nc := range ncs {
			if _, octets, err := readToEnd(nc); !errors.Is(err, syscall.ECONNRESET) || name == "at an octet" && octets != 99 {
				t.Fatalf("connection %d of round %d: %v behind %d octets", i, round, err, octets)
			}
		}
	}
}
