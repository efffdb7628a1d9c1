package record_test

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// fakeBroker answers every request as if it had succeeded, unless answer says
// otherwise, and writes down what it was asked.
type fakeBroker struct {
	nc *memnet.Conn
	// answer returns what to send instead of the ordinary reply, nil for that
	// one, silence for none.
	answer func(channel uint16, m wire.Method) wire.Method

	named  int
	closed map[uint16]bool // channel.close sent, and not answered yet
	open   map[uint16]bool // the reader's own

	mu       sync.Mutex // guards the following
	declared []string   // without those that were refused
	channels int        // opened so far
	most     int        // open at once
}

// fakeChannelMax is how many channels a connection to it may have.
const fakeChannelMax = 100

// silence is the answer of a broker that does not answer.
var silence wire.Method = &wire.ChannelFlowOk{}

// connect returns a connection to a fake broker, each way delayed.
func connect(t *testing.T, oneWay time.Duration, answer func(uint16, wire.Method) wire.Method) (*core.Conn, *fakeBroker) {
	t.Helper()
	client, server := memnet.Pipe()
	f := &fakeBroker{nc: server, answer: answer, closed: map[uint16]bool{}, open: map[uint16]bool{}}
	client.Out().SetBuffer(16 << 20)
	server.Out().SetBuffer(16 << 20)
	go f.run()
	conn, err := core.Open(t.Context(), net.Conn(client), core.Config{Heartbeat: -1, ChannelMax: fakeChannelMax})
	if err != nil {
		t.Fatal(err)
	}
	client.Out().Delay(oneWay)
	server.Out().Delay(oneWay)
	t.Cleanup(func() {
		_ = server.Close()
		<-conn.Done()
	})
	return conn, f
}

func (f *fakeBroker) run() {
	var in []byte
	var decoder wire.Decoder
	buf := make([]byte, 64<<10)
	for {
		n, err := f.nc.Read(buf)
		if err != nil {
			return
		}
		var out []byte
		in = append(in, buf[:n]...)
		if len(in) >= 8 && string(in[:4]) == "AMQP" {
			in = in[8:]
			out = appendMethod(out, 0, &wire.ConnectionStart{VersionMinor: 9, Mechanisms: "PLAIN", Locales: "en_US"})
		}
		for {
			frame, n, err := wire.ParseFrame(in, 0)
			if err != nil {
				panic(err)
			}
			if n == 0 {
				break
			}
			m, err := decoder.Method(frame.Payload)
			if err != nil {
				panic(err)
			}
			if reply := f.on(frame.Channel, m); reply != nil && reply != silence {
				out = appendMethod(out, frame.Channel*channelOf(reply), reply)
			}
			in = in[n:]
		}
		if _, err := f.nc.Write(out); err != nil {
			return
		}
	}
}

// channelOf returns 0 for methods that are sent on channel 0, else 1.
func channelOf(m wire.Method) uint16 {
	if m.ID() == wire.MethodConnectionClose {
		return 0
	}
	return 1
}

func appendMethod(dst []byte, channel uint16, m wire.Method) []byte {
	dst, err := wire.AppendMethod(dst, channel, m)
	if err != nil {
		panic(err)
	}
	return dst
}

func (f *fakeBroker) on(channel uint16, m wire.Method) wire.Method {
	if f.closed[channel] {
		if m.ID() == wire.MethodChannelCloseOk {
			delete(f.closed, channel)
		}
		return nil
	}
	switch m.(type) {
	case *wire.ConnectionStartOk:
		return &wire.ConnectionTune{ChannelMax: 2047, FrameMax: 131072}
	case *wire.ChannelOpen:
		f.open[channel] = true
		f.mu.Lock()
		f.channels, f.most = f.channels+1, max(f.most, len(f.open))
		f.mu.Unlock()
	case *wire.ChannelClose:
		delete(f.open, channel)
	}
	if channel > 0 && f.answer != nil {
		if reply := f.answer(channel, m); reply != nil {
			if reply.ID() == wire.MethodChannelClose {
				f.closed[channel] = true
				delete(f.open, channel)
			}
			return reply
		}
	}
	f.note(m)
	return f.ordinary(m)
}

func (f *fakeBroker) ordinary(m wire.Method) wire.Method {
	if q, ok := m.(*wire.QueueDeclare); ok {
		name := q.Queue
		if name == "" {
			f.named++
			name = fmt.Sprintf("amq.gen-%d", f.named)
		}
		return &wire.QueueDeclareOk{Queue: name}
	}
	if replies := wire.Replies(m.ID()); len(replies) > 0 {
		return wire.NewMethod(replies[0])
	}
	return nil
}

func (f *fakeBroker) note(m wire.Method) {
	var line string
	switch m := m.(type) {
	case *wire.ExchangeDeclare:
		line = "x " + m.Exchange
	case *wire.QueueDeclare:
		line = "q " + m.Queue
		if m.Passive {
			line = "q? " + m.Queue
		}
	case *wire.QueueBind:
		line = m.Exchange + "→" + m.Queue
	case *wire.ExchangeBind:
		line = m.Source + "⇒" + m.Destination
	case *wire.QueueDelete:
		line = fmt.Sprintf("delete q %s %v", m.Queue, m.IfUnused)
	case *wire.ExchangeDelete:
		line = fmt.Sprintf("delete x %s %v", m.Exchange, m.IfUnused)
	case *wire.QueueUnbind:
		line = "unbind " + m.Exchange + "→" + m.Queue
	default:
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.declared = append(f.declared, line)
}

func (f *fakeBroker) log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.declared
}

func (f *fakeBroker) counts() (channels, most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.channels, f.most
}

func refusal(code core.Code, m wire.Method) wire.Method {
	return &wire.ChannelClose{ReplyCode: uint16(code), ReplyText: "no", ClassID: m.ID().Class(), MethodID: m.ID().Method()}
}

func hangUp(code core.Code, m wire.Method) wire.Method {
	return &wire.ConnectionClose{ReplyCode: uint16(code), ReplyText: "no", ClassID: m.ID().Class(), MethodID: m.ID().Method()}
}

// queueSteps returns n declarations of queues q0, q1, …
func queueSteps(n int) []record.Step {
	var t topology.Topology
	for i := range n {
		t.Queues = append(t.Queues, q(fmt.Sprintf("q%d", i)))
	}
	return record.Plan(t)[1].Steps
}

func declares(m wire.Method, queue string) bool {
	d, ok := m.(*wire.QueueDeclare)
	return ok && d.Queue == queue
}

// opened returns how many channels are open, once the broker has come to rest.
func (f *fakeBroker) opened() int { return len(f.open) }
