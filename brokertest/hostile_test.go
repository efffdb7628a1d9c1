package brokertest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/docker"
)

// opening takes a connection through its handshake and opens channel 1.
func opening() []byte {
	b := []byte(wire.ProtocolHeader)
	for _, m := range []wire.Method{
		&wire.ConnectionStartOk{Mechanism: "PLAIN", Response: wire.Secret("\x00guest\x00guest"), Locale: "en_US"},
		&wire.ConnectionTuneOk{ChannelMax: 100, FrameMax: 131072},
		&wire.ConnectionOpen{VirtualHost: "/"},
	} {
		b, _ = wire.AppendMethod(b, 0, m)
	}
	b, _ = wire.AppendMethod(b, 1, &wire.ChannelOpen{})
	return b
}

func methods(ms ...wire.Method) []byte {
	var b []byte
	for _, m := range ms {
		b, _ = wire.AppendMethod(b, 1, m)
	}
	return b
}

func frame(kind byte, channel uint16, payload string) []byte {
	n := len(payload)
	b := []byte{kind, byte(channel >> 8), byte(channel), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	return append(append(b, payload...), wire.FrameEnd)
}

// publishFrame is a basic.publish to the queue q.
func publishFrame() []byte {
	b, _ := wire.AppendPublish(nil, 1, "", "q", false, false)
	return b
}

func headerFrame(size uint64) []byte {
	b, _ := wire.AppendHeader(nil, 1, wire.ClassBasic, size, nil)
	return b
}

// hostile is what a client should not send. Behind each the connection must be closed, by a code if one is
// given, and the rest of the broker unharmed.
var hostile = []struct {
	name  string
	bytes []byte
	code  uint16 // of connection.close; 0: any end
}{
	{"a size of 4 GiB", []byte("\x01\x00\x01\xff\xff\xff\xff"), 501},
	{"a size just beyond the limit", []byte("\x01\x00\x01\x00\x02\x00\x10"), 501},
	{"a wrong end", []byte("\x01\x00\x01\x00\x00\x00\x01xy"), 501},
	{"an unknown type", frame(9, 1, "x"), 501},
	{"a heartbeat on a channel", frame(8, 1, ""), 505},
	{"a heartbeat with a payload", frame(8, 0, "x"), 0},
	{"an empty method", frame(1, 1, ""), 0},
	{"a method that is cut off", frame(1, 1, "\x00\x32\x00\x0a\x00\x00\x7fq"), 0},
	{"a table longer than its frame", frame(1, 1, "\x00\x32\x00\x0a\x00\x00\x01q\x00\x7f\xff\xff\xff"), 0},
	{"tables inside tables", nestedTables(200), 501},
	{"arrays inside arrays", nestedArrays(200), 501},
	{"16,385 fields", declareWith(strings.Repeat("\x01at\x01", 1<<14+1)), 501},
	{"octets of a negative length", declareWith("\x01ax\xff\xff\xff\xff"), 501},
	{"a text of a negative length", declareWith("\x01aS\x80\x00\x00\x00"), 501},
	{"an unknown type of field", declareWith("\x01aZ\x00"), 501},
	{"a field without a value", declareWith("\x01a"), 501},
	{"an unknown method", frame(1, 1, "\x00\x32\x00\x63"), 0},
	{"an unknown class", frame(1, 1, "\x00\x63\x00\x0a"), 0},
	{"a header without a method", headerFrame(1), 505},
	{"a body without a header", frame(3, 1, "x"), 505},
	{"a header twice", append(append(publishFrame(), headerFrame(1)...), headerFrame(1)...), 505},
	{"a body that is too long", append(append(publishFrame(), headerFrame(1)...), frame(3, 1, "xy")...), 501},
	{"a body of a terabyte", append(publishFrame(), headerFrame(1<<40)...), 501},
	{"a channel that is not open", frame(1, 7, "\x00\x32\x00\x0a\x00\x00\x01q\x00\x00\x00\x00\x00"), 504},
	{"a second channel.open", methods(&wire.ChannelOpen{}), 504},
	{"a protocol header", []byte(wire.ProtocolHeader), 0},
	{"a TLS hello", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 0},
	{"connection.open again", frame(1, 0, "\x00\x0a\x00\x28\x01/\x00\x00"), 504},
}

func TestHostileInput(t *testing.T) {
	for _, tc := range hostile {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(t)
				code := converse(t, b, append(opening(), tc.bytes...))
				if tc.code != 0 && code != tc.code {
					t.Errorf("closed with %d, want %d", code, tc.code)
				}
				p := newTalk(t, b)
				defer p.hangup()
				expect(t, p.say("b1 queue.declare Queue=q Durable"), "b1 queue.declare-ok Queue=q")
			})
		})
	}
}

// nestedTables is a queue.declare with tables inside each other.
func nestedTables(depth int) []byte {
	table := ""
	for range depth {
		table = "\x01aF" + sized(table)
	}
	return declareWith(table)
}

// nestedArrays is a queue.declare with arrays inside each other.
func nestedArrays(depth int) []byte {
	array := ""
	for range depth {
		array = "A" + sized(array)
	}
	return declareWith("\x01a" + array)
}

// declareWith is a queue.declare with these octets as the fields of its arguments.
func declareWith(fields string) []byte {
	return frame(1, 1, "\x00\x32\x00\x0a\x00\x00\x01q\x00"+sized(fields))
}

// sized has the length of s before it.
func sized(s string) string { return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s }

// TestHostileTablesCostLittle bounds what tables cost that are made to be expensive.
func TestHostileTablesCostLittle(t *testing.T) {
	for name, octets := range map[string][]byte{
		"tables": nestedTables(1000), "arrays": nestedArrays(1000), "fields": declareWith(strings.Repeat("\x01at\x01", 30_000)),
	} {
		synctest.Test(t, func(t *testing.T) {
			b := New(t)
			all := append(opening(), octets...)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if code := converse(t, b, all); code != 501 {
				t.Errorf("%s: closed with %d, want 501", name, code)
			}
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
				t.Errorf("%s: %d KiB were allocated for %d", name, grown>>10, len(octets)>>10)
			}
		})
	}
}

// TestLargeFramesBeforeTune are refused before a client has said who it is.
func TestLargeFramesBeforeTune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(t)
		if code := converse(t, b, append([]byte(wire.ProtocolHeader), frame(1, 0, strings.Repeat("x", 9<<10))...)); code != 0 {
			t.Errorf("closed with %d, want no word", code)
		}
	})
}

// TestAckOfEverythingThatCouldBe settles the largest tag, which nothing was delivered with.
func TestAckOfEverythingThatCouldBe(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable", `a1 basic.publish RoutingKey=q Body="1"`, "a1 basic.get Queue=q")
		expect(t, say(`a1 frame 1 "\x00<\x00P\xff\xff\xff\xff\xff\xff\xff\xff\x01"`),
			`a1 channel.close ReplyCode=406 ReplyText="PRECONDITION_FAILED - unknown delivery tag 18446744073709551615" ClassID=60 MethodID=80`)
		expect(t, say("a1 channel.close-ok", "b1 basic.get Queue=q"), `b1 basic.get-ok DeliveryTag=1 Redelivered RoutingKey=q Body="1"`)
	})
}

// TestDeadLettersInCirclesEnd has messages die without end if the broker lets them: it must still answer.
func TestDeadLettersInCirclesEnd(t *testing.T) {
	const circle = "a1 queue.declare Queue=short Durable Arguments={x-max-length=0 x-dead-letter-exchange=amq.fanout}"
	refusing := strings.Replace(circle, "x-max-length=0", "x-max-length=0 x-overflow=reject-publish-dlx", 1)
	rejected := []string{`a1 queue.declare Queue=q Durable Arguments={x-dead-letter-exchange="" x-dead-letter-routing-key=short}`,
		`a1 basic.publish RoutingKey=q Body="1"`, "a1 basic.get Queue=q", "a1 basic.nack DeliveryTag=1"}
	told := func(deaths string) []string {
		return []string{"a1 basic.publish RoutingKey=short Headers={x-death=" + deaths + `} Body="1"`}
	}
	for _, tc := range []struct {
		name, queue string
		sends       []string
	}{
		{"after a reject", circle, rejected}, {"refused, after a reject", refusing, rejected},
		{"a client tells of a reject", circle, told("[{reason=rejected}]")},
		{"refused, a client tells of a reject", refusing, told("[{reason=rejected}]")},
		{"a client tells of a reject in the queue", circle, told("[{queue=short reason=rejected count=1l}]")},
		{"a client tells of what is no death", circle, told("[1 {queue={} reason=[]} {queue=short reason=maxlen count=many}]")},
	} {
		for _, version := range docker.Versions {
			t.Run(tc.name+" "+version, func(t *testing.T) {
				b := NewBroker(WithVersion(version)) // Close would wait for it
				p := newTalk(t, b)
				p.settle = settleByTime
				defer p.hangup()
				p.say(tc.queue, "a1 queue.bind Queue=short Exchange=amq.fanout")
				p.say(tc.sends...)
				if got := p.say("a1 queue.declare Queue=q2 Durable"); len(got) != 1 {
					t.Fatal("no answer: the message goes round")
				}
				b.Close()
			})
		}
	}
}

// TestFloodOfEmptyBodies sends many body frames that bring a message no further.
func TestFloodOfEmptyBodies(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		nc, err := b.DialContext(t.Context(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
		go func() { _, _ = io.Copy(io.Discard, nc) }()
		_, _ = nc.Write(append(append(opening(), publishFrame()...), headerFrame(1)...))
		const parts, frames = 20, 10_000
		part := bytes.Repeat(frame(3, 1, ""), frames)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range parts {
			_, _ = nc.Write(part)
		}
		_, _ = nc.Write(frame(3, 1, "x"))
		synctest.Wait()
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > parts*frames*128 {
			t.Errorf("%d octets were allocated for a frame", grown/(parts*frames))
		}
		if got := b.Messages("q"); len(got) != 1 || string(got[0].Body) != "x" {
			t.Errorf("%+v", got)
		}
	})
}

// converse sends octets and returns the code of connection.close, 0 for none, once the connection has ended.
func converse(t *testing.T, b *Broker, octets []byte) (code uint16) {
	nc, err := b.DialContext(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	go func() { _, _ = nc.Write(octets) }()
	var in rawReader
	buf := make([]byte, 1<<16)
	for {
		_ = nc.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := nc.Read(buf)
		for _, r := range in.feed(buf[:n]) {
			if m, ok := r.method.(*wire.ConnectionClose); ok {
				code = m.ReplyCode
				b, _ := wire.AppendMethod(nil, 0, &wire.ConnectionCloseOk{})
				_, _ = nc.Write(b)
			}
		}
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Error("the connection stays open")
			}
			return code
		}
	}
}

// TestLargeMessageIsNotKept sends a body beyond the limit, which is refused at its end and costs no memory
// before.
func TestLargeMessageIsNotKept(t *testing.T) {
	b := New(t, WithMaxMessage(1<<20))
	nc, err := b.DialContext(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	go func() { _, _ = io.Copy(io.Discard, nc) }()
	const size = 64 << 20
	_, _ = nc.Write(append(append(opening(), publishFrame()...), headerFrame(size)...))
	part := frame(3, 1, strings.Repeat("x", 100<<10))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range size/(100<<10) - 10 {
		if _, err := nc.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("%d MiB were allocated", grown>>20)
	}
}

// FuzzConnection sends octets of any kind, with and without a handshake before. The broker must stay alive,
// and end the connection when the client does.
func FuzzConnection(f *testing.F) {
	for _, tc := range hostile {
		f.Add(true, tc.bytes)
	}
	f.Add(false, opening())
	f.Add(true, methods(&wire.QueueDeclare{Queue: "q", Arguments: wire.Table{"x-queue-type": "stream"}}, &wire.BasicQos{PrefetchCount: 1},
		&wire.BasicConsume{Queue: "q", ConsumerTag: "c"}, &wire.ConfirmSelect{}, &wire.TxSelect{}))
	f.Add(true, append(append(append(publishFrame(), headerFrame(1)...), frame(3, 1, "x")...), methods(&wire.BasicGet{Queue: "q"}, &wire.BasicNack{DeliveryTag: 1, Requeue: true})...))
	f.Fuzz(func(t *testing.T, open bool, octets []byte) {
		synctest.Test(t, func(t *testing.T) {
			b := New(t)
			p := newTalk(t, b)
			defer p.hangup()
			expect(t, p.say("b1 queue.declare Queue=q Durable"), "b1 queue.declare-ok Queue=q")
			nc, err := b.DialContext(t.Context(), "tcp", "")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.Copy(io.Discard, nc) }()
			if open {
				octets = append(opening(), octets...)
			}
			for part := range bytesInParts(octets) {
				if _, err := nc.Write(part); err != nil {
					break
				}
			}
			synctest.Wait()
			_ = nc.Close()
			time.Sleep(time.Minute)
			if n := len(b.Links()); n != 1 {
				t.Errorf("%d connections are left, want the other one", n)
			}
			if !b.mu.TryLock() {
				t.Fatal("somebody still holds the broker's lock")
			}
			b.mu.Unlock()
		})
	})
}

// bytesInParts cuts octets so that frames come in pieces.
func bytesInParts(octets []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for n := 1; len(octets) > 0; n = n*3 + 1 {
			part := octets[:min(n, len(octets))]
			if !yield(bytes.Clone(part)) {
				return
			}
			octets = octets[len(part):]
		}
	}
}
