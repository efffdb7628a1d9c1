package nullbroker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/warren-mq/warren/bench/internal/framing"
	"github.com/warren-mq/warren/bench/internal/nullbroker"
	"github.com/warren-mq/warren/core/wire"
)

// patience bounds every read of these tests.
const patience = 10 * time.Second

// dial opens a connection and a channel on a broker that ends with the test.
func dial(t *testing.T) (net.Conn, *framing.Reader) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := nullbroker.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); s.Wait() })
	nc, r, err := framing.Dial(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return nc, r
}

func call[R wire.Method](t *testing.T, nc net.Conn, r *framing.Reader, channel uint16, m wire.Method) R {
	t.Helper()
	reply, err := framing.Call(nc, r, channel, m)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := reply.(R)
	if !ok {
		t.Fatalf("%s is answered with %s", m.ID(), reply.ID())
	}
	return got
}

func TestConfirmsAllThatWasPublished(t *testing.T) {
	nc, r := dial(t)
	call[*wire.ConfirmSelectOk](t, nc, r, 1, &wire.ConfirmSelect{})
	message := framing.Publish(nil, 1, "bench", 16, true)
	for _, n := range []int{1, 100, 5000} {
		if _, err := nc.Write(bytes.Repeat(message, n)); err != nil {
			t.Fatal(err)
		}
	}
	for last := uint64(0); last < 5101; {
		m, err := r.Method(1)
		if err != nil {
			t.Fatal(err)
		}
		ack, ok := m.(*wire.BasicAck)
		if !ok || ack.DeliveryTag <= last || !ack.Multiple {
			t.Fatalf("after the confirm of %d came %#v", last, m)
		}
		last = ack.DeliveryTag
	}
}

func TestPublishWithoutConfirmsIsDiscarded(t *testing.T) {
	nc, r := dial(t)
	if _, err := nc.Write(bytes.Repeat(framing.Publish(nil, 1, "bench", 64<<10, false), 50)); err != nil {
		t.Fatal(err)
	}
	// The answer comes behind all that was published.
	call[*wire.ConnectionCloseOk](t, nc, r, 0, &wire.ConnectionClose{ReplyCode: 200})
	if err := r.Read(func(uint8, uint16, []byte) error { return nil }); err == nil {
		t.Error("the connection stays open behind close-ok")
	}
}

// receiver collects deliveries.
type receiver struct {
	tags  []uint64
	sizes map[uint64]bool
}

func (c *receiver) onFrame(typ uint8, _ uint16, payload []byte) error {
	switch typ {
	case wire.FrameMethod:
		if wire.MethodID(binary.BigEndian.Uint32(payload)) == wire.MethodBasicDeliver {
			c.tags = append(c.tags, binary.BigEndian.Uint64(payload[5+int(payload[4]):]))
		}
	case wire.FrameHeader:
		c.sizes[binary.BigEndian.Uint64(payload[4:])] = true
	}
	return nil
}

func TestConsumerGetsMessagesWithinItsPrefetch(t *testing.T) {
	nc, r := dial(t)
	call[*wire.BasicQosOk](t, nc, r, 1, &wire.BasicQos{PrefetchCount: 10})
	if err := framing.Send(nc, 1, &wire.BasicConsume{Queue: "blast.1024"}); err != nil {
		t.Fatal(err)
	}
	got := receiver{sizes: map[uint64]bool{}}
	receive := func(n int) {
		t.Helper()
		for len(got.tags) < n {
			if err := r.Read(got.onFrame); err != nil {
				t.Fatal(err)
			}
		}
		// What answers a further request comes behind what was sent before it.
		call[*wire.BasicQosOk](t, nc, r, 1, &wire.BasicQos{PrefetchCount: 10})
		if len(got.tags) != n {
			t.Fatalf("%d deliveries, want %d", len(got.tags), n)
		}
	}
	receive(10)
	if _, err := nc.Write(wire.AppendAck(nil, 1, 4, true)); err != nil {
		t.Fatal(err)
	}
	receive(14)
	if _, err := nc.Write(wire.AppendAck(nil, 1, 7, false)); err != nil {
		t.Fatal(err)
	}
	receive(15)
	for i, tag := range got.tags {
		if tag != uint64(i+1) {
			t.Fatalf("delivery tags %v are not 1, 2, …", got.tags)
		}
	}
	if len(got.sizes) != 1 || !got.sizes[1024] {
		t.Errorf("sizes %v, want 1024 only", got.sizes)
	}
}

func TestAutomaticAckHasNoLimitAndCancelEndsIt(t *testing.T) {
	nc, r := dial(t)
	if err := framing.Send(nc, 1, &wire.BasicConsume{Queue: "blast.16", ConsumerTag: "c", NoAck: true}); err != nil {
		t.Fatal(err)
	}
	got := receiver{sizes: map[uint64]bool{}}
	for len(got.tags) < 100_000 {
		if err := r.Read(got.onFrame); err != nil {
			t.Fatal(err)
		}
	}
	if err := framing.Send(nc, 1, &wire.BasicCancel{ConsumerTag: "c"}); err != nil {
		t.Fatal(err)
	}
	for ok := false; !ok; {
		m, err := r.Method(1)
		if err != nil {
			t.Fatal(err)
		}
		_, ok = m.(*wire.BasicCancelOk)
	}
}

func TestUnknownQueueEndsTheConnection(t *testing.T) {
	nc, r := dial(t)
	if _, err := framing.Call(nc, r, 1, &wire.BasicConsume{Queue: "orders"}); err == nil {
		t.Error("a consumer of another queue than blast.SIZE was accepted")
	}
}
