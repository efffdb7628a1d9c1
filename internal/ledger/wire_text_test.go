package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// method is the frame of one.
func method(t *testing.T, channel uint16, m wire.Method) wire.Frame {
	t.Helper()
	raw, err := wire.AppendMethod(nil, channel, m)
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := wire.ParseFrame(raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func readText(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestALedgerInFilesTellsTheMethods(t *testing.T) {
	dir := t.TempDir()
	l, err := Create(1, dir)
	if err != nil {
		t.Fatal(err)
	}
	l.clock = func() time.Duration { return 10 * time.Millisecond }
	c := l.Conn()
	c.ToBroker(method(t, 0, &wire.ConnectionStartOk{Mechanism: "PLAIN", Response: wire.Secret("\x00guest\x00s3cret"), Locale: "en_US"}))
	c.ToBroker(method(t, 3, &wire.ChannelOpen{}))
	c.ToBroker(method(t, 3, &wire.QueueDeclare{Queue: "orders", Durable: true}))
	c.ToBroker(method(t, 3, &wire.BasicPublish{RoutingKey: "orders"}))
	c.ToBroker(method(t, 3, &wire.BasicAck{DeliveryTag: 1}))
	c.ToBroker(wire.Frame{Type: wire.FrameHeartbeat})
	c.ToClient(method(t, 3, &wire.ChannelClose{ReplyCode: 405, ReplyText: "RESOURCE_LOCKED", ClassID: 50, MethodID: 10}))
	c.ToClient(wire.Frame{Type: wire.FrameMethod, Channel: 3, Payload: []byte{0, 50, 0, 10, 7}})
	c.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c.ToBroker(method(t, 3, &wire.ChannelOpen{})) // too late, and no harm
	const want = `
          10ms c1 > 0 connection.start-ok Mechanism=PLAIN Response=[redacted] Locale=en_US
          10ms c1 > 3 channel.open
          10ms c1 > 3 queue.declare Queue=orders Durable
          10ms c1 < 3 channel.close ReplyCode=405 ReplyText=RESOURCE_LOCKED ClassID=50 MethodID=10
          10ms c1 < 3 queue.declare that cannot be read, 5 bytes
          10ms c1 is gone
`
	if got := "\n" + readText(t, dir, textFile); got != want {
		t.Errorf("got%s\nwant%s", got, want)
	}
}

func TestTheMethodsAreBounded(t *testing.T) {
	dir := t.TempDir()
	l, err := Create(1, dir)
	if err != nil {
		t.Fatal(err)
	}
	l.text.limit = 1000
	c := l.Conn()
	for channel := range uint16(1000) {
		c.ToBroker(method(t, channel, &wire.ChannelOpen{}))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	older, newer := readText(t, dir, olderTextFile), readText(t, dir, textFile)
	if n := len(older) + len(newer); n < l.text.limit || n > 2*l.text.limit+200 {
		t.Errorf("%d bytes are kept, want one limit to two, %d", n, l.text.limit)
	}
	lines := strings.Split(strings.TrimSuffix(older+newer, "\n"), "\n")
	for i, line := range lines {
		if !strings.HasSuffix(line, " > "+channelOpen(1000-len(lines)+i)) {
			t.Errorf("line %d is %q, want the last ones in order", i, line)
		}
	}
}

func channelOpen(channel int) string { return fmt.Sprintf("%d channel.open", channel) }
