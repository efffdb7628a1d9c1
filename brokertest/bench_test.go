package brokertest

import (
	"bytes"
	"net"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// BenchmarkPublishToConsume sends messages of 100 octets through a broker, from one connection to another,
// which acknowledges every hundredth, as clients of any speed would see it.
func BenchmarkPublishToConsume(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		broker := New(b)
		measure(b, func() (net.Conn, error) { return broker.DialContext(b.Context(), "tcp", "") })
	})
	b.Run("loopback", func(b *testing.B) {
		broker := New(b)
		measure(b, func() (net.Conn, error) { return net.Dial("tcp", broker.Addr()) })
	})
}

func measure(b *testing.B, dial func() (net.Conn, error)) {
	publishToConsume(b, b.N, dial, b.ResetTimer)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// publishToConsume sends messages, and calls begin before the first.
func publishToConsume(b testing.TB, messages int, dial func() (net.Conn, error), begin func()) {
	const batch, bodySize, ackEvery = 100, 100, 100
	p, c := handshaken(b, dial), handshaken(b, dial)
	request(b, c, &wire.QueueDeclare{Queue: "q", Durable: true})
	request(b, c, &wire.BasicQos{PrefetchCount: 2000})
	request(b, c, &wire.BasicConsume{Queue: "q", ConsumerTag: "c"})
	var frames []byte
	for range batch {
		frames, _ = wire.AppendPublish(frames, 1, "", "q", false, false)
		frames, _ = wire.AppendHeader(frames, 1, wire.ClassBasic, bodySize, &wire.Properties{DeliveryMode: 2})
		frames = wire.AppendBody(frames, 1, bytes.Repeat([]byte("x"), bodySize), 0)
	}
	begin()
	go func() {
		for sent := 0; sent < messages; sent += batch {
			if _, err := p.Write(frames); err != nil {
				return
			}
		}
	}()
	buf, acks := make([]byte, 0, 1<<17), []byte(nil)
	for got := 0; got < messages; {
		n, err := c.Read(buf[len(buf):cap(buf)])
		if err != nil {
			b.Fatal(err)
		}
		buf = buf[:len(buf)+n]
		rest := buf
		for {
			f, n, err := wire.ParseFrame(rest, 0)
			if err != nil {
				b.Fatal(err)
			}
			if n == 0 {
				break
			}
			if rest = rest[n:]; f.Type == wire.FrameBody {
				if got++; got%ackEvery == 0 {
					acks = wire.AppendAck(acks, 1, uint64(got), true)
				}
			}
		}
		buf = buf[:copy(buf, rest)]
		if len(acks) > 0 {
			if _, err := c.Write(acks); err != nil {
				b.Fatal(err)
			}
			acks = acks[:0]
		}
	}
	_ = p.Close()
	_ = c.Close()
}

// handshaken opens a connection and its channel 1.
func handshaken(b testing.TB, dial func() (net.Conn, error)) net.Conn {
	nc, err := dial()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := nc.Write([]byte(wire.ProtocolHeader)); err != nil {
		b.Fatal(err)
	}
	answer(b, nc)
	call(b, nc, 0, &wire.ConnectionStartOk{Mechanism: "PLAIN", Response: wire.Secret("\x00guest\x00guest"), Locale: "en_US"})
	send(b, nc, 0, &wire.ConnectionTuneOk{ChannelMax: 10, FrameMax: 131072})
	call(b, nc, 0, &wire.ConnectionOpen{VirtualHost: "/"})
	request(b, nc, &wire.ChannelOpen{})
	return nc
}

func request(b testing.TB, nc net.Conn, m wire.Method) { call(b, nc, 1, m) }

func call(b testing.TB, nc net.Conn, channel uint16, m wire.Method) {
	send(b, nc, channel, m)
	answer(b, nc)
}

func send(b testing.TB, nc net.Conn, channel uint16, m wire.Method) {
	frame, err := wire.AppendMethod(nil, channel, m)
	if err == nil {
		_, err = nc.Write(frame)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// answer reads one frame.
func answer(b testing.TB, nc net.Conn) {
	buf := make([]byte, 0, 4096)
	for {
		n, err := nc.Read(buf[len(buf) : len(buf)+1])
		if err != nil {
			b.Fatal(err)
		}
		buf = buf[:len(buf)+n]
		if _, n, err := wire.ParseFrame(buf, 0); err != nil {
			b.Fatal(err)
		} else if n > 0 {
			return
		}
	}
}
