package core

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
)

// FuzzClient plays any bytes as the server's side, to a client that uses
// everything. Whatever they are, the client ends: closed, with every call
// returned, every publish settled once, and no goroutine left.
//
// The first octet says how far a proper server gets before: not at all, up to
// an open connection, or up to a channel in use. The second cuts the bytes
// into reads.
func FuzzClient(f *testing.F) {
	add := func(stage byte, b []byte) { f.Add(append([]byte{stage, 0}, b...)) }
	t := &testing.T{}
	add(0, encoded(t, 0, start(), tune(), &wire.ConnectionOpenOk{}))
	add(0, encoded(t, 0, start(), &wire.ConnectionSecure{Challenge: []byte("x")}))
	add(0, encoded(t, 0, start(), &wire.ConnectionClose{ReplyCode: 403, ReplyText: "ACCESS_REFUSED"}))
	add(1, encoded(t, 1, &wire.ChannelOpenOk{}, &wire.ConfirmSelectOk{}, &wire.BasicQosOk{}, &wire.BasicConsumeOk{ConsumerTag: "c"}))
	add(2, append(manyDeliveries(t, "auto", 200), wire.AppendAck(nil, 1, 3, true)...)) // more than it buffers
	add(2, append(manyDeliveries(t, "quick", 3), encoded(t, 1, &wire.QueueDeclareOk{}, &wire.BasicGetEmpty{}, &wire.BasicRecoverOk{})...))
	add(2, append(encoded(t, 2, &wire.ChannelOpenOk{}, &wire.TxSelectOk{}, &wire.TxCommitOk{}, &wire.TxRollbackOk{}), encoded(t, 0, &wire.ConnectionBlocked{})...))
	for _, m := range serverMethods() {
		add(2, encoded(t, 1, m))
		add(1, encoded(t, 0, m))
	}
	for _, row := range hostile(t) {
		if len(row.in) < 2000 {
			add(2, row.in)
		}
	}
	add(2, append(manyDeliveries(t, "c", 3), encoded(t, 1, &wire.BasicAck{DeliveryTag: 2, Multiple: true}, &wire.ChannelClose{ReplyCode: 404})...))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < 2 || len(in) > 1<<16 {
			return
		}
		synctest.Test(t, func(t *testing.T) { playBytes(t, in[0]%3, int(in[1])%64, in[2:]) })
	})
}

func playBytes(t *testing.T, stage byte, slice int, in []byte) {
	client, server := memnet.Pipe()
	client.In().Slice(slice)
	go runServer(server, stage, in)
	count := &verdictCount{seen: map[int]int{}}
	sent := 0
	c, err := Open(t.Context(), client, Config{Heartbeat: 5 * time.Second, HandshakeTimeout: 5 * time.Second, RPCTimeout: 5 * time.Second, MaxBody: 1 << 20})
	if err == nil {
		sent = useEverything(c, count)
		_ = c.Close(t.Context())
		<-c.Done()
		if c.Err() == nil {
			t.Error("closed without a reason")
		}
	}
	_ = server.Close()
	synctest.Wait()
	count.mu.Lock()
	defer count.mu.Unlock()
	if len(count.seen) != sent {
		t.Errorf("%d publishes, %d with a verdict", sent, len(count.seen))
	}
	for id, n := range count.seen {
		if n != 1 {
			t.Errorf("publish %d has %d verdicts", id, n)
		}
	}
}

// runServer is a proper server for the first steps; then it writes in, reads
// whatever comes, and hangs up after a fake minute.
func runServer(nc *memnet.Conn, stage byte, in []byte) {
	proper := [][]wire.Method{
		{start(), tune(), &wire.ConnectionOpenOk{}},
		{&wire.ChannelOpenOk{}, &wire.ConfirmSelectOk{}, &wire.BasicQosOk{}, &wire.BasicConsumeOk{ConsumerTag: "c"}, &wire.BasicConsumeOk{ConsumerTag: "auto"}},
	}
	for i, step := range proper[:stage] {
		for _, m := range step {
			b, _ := wire.AppendMethod(nil, uint16(i), m)
			time.Sleep(time.Millisecond) // until the client has asked for it
			_, _ = nc.Write(b)
		}
	}
	time.Sleep(time.Millisecond)
	go func() {
		_, _ = nc.Write(in)
	}()
	_ = nc.SetReadDeadline(time.Now().Add(time.Minute))
	_, _ = io.Copy(io.Discard, nc)
	_ = nc.Close()
}

// useEverything calls what there is, with what the server makes of it. It
// returns how many publishes must get a verdict.
func useEverything(c *Conn, count *verdictCount) (sent int) {
	ctx, cancel := context.WithTimeout(bg, 10*time.Second)
	defer cancel()
	ch, err := c.Channel(ctx)
	if err != nil {
		return 0
	}
	ch.OnReturn(func(r *Return) { _ = r.Properties() })
	_ = ch.Confirm(ctx, ConfirmSelect{})
	_ = ch.Qos(ctx, BasicQos{PrefetchCount: 10})
	consumer, err := ch.Consume(ctx, BasicConsume{ConsumerTag: "c"})
	if err == nil {
		go runConsumer(consumer)
	}
	if auto, err := ch.Consume(ctx, BasicConsume{ConsumerTag: "auto", NoAck: true}, MaxBuffered(100, 1<<16)); err == nil {
		go runConsumer(auto)
	}
	if quick, err := ch.Consume(ctx, BasicConsume{ConsumerTag: "quick", NoWait: true}); err == nil {
		go runConsumer(quick)
	}
	_ = ch.QueueBind(ctx, QueueBind{NoWait: true})
	bodies := [][]byte{[]byte("x"), nil, make([]byte, streamAbove+1)} // the last is handed over in parts
	for i, body := range bodies {
		if ch.PublishTo(ctx, &Publishing{Mandatory: true, Body: body}, countOne{count, i}) == nil {
			sent++
		}
	}
	_, _ = ch.QueueDeclare(ctx, QueueDeclare{Queue: "q"})
	_, _ = ch.Get(ctx, BasicGet{Queue: "q"})
	_ = ch.Ack(0, true)
	_ = ch.Recover(ctx, BasicRecover{Requeue: true})
	_ = c.UpdateSecret(ctx, "s", "r")
	if tx, err := c.Channel(ctx); err == nil {
		_ = tx.TxSelect(ctx)
		_ = tx.Publish(ctx, &Publishing{Body: bodies[2]})
		_ = tx.TxCommit(ctx)
		_ = tx.TxRollback(ctx)
	}
	_ = ch.Cancel(ctx, BasicCancel{ConsumerTag: "quick", NoWait: true})
	if consumer != nil {
		_ = consumer.Cancel(ctx)
	}
	_ = ch.Close(ctx)
	return sent
}

// runConsumer settles what comes, each in another way.
func runConsumer(c *Consumer) {
	for d, err := range c.All(bg) {
		if err != nil {
			return
		}
		_ = d.Properties()
		switch d.Tag % 3 {
		case 0:
			_ = d.Ack()
		case 1:
			_ = d.Nack(true)
		default:
			_ = d.Reject(false)
		}
		d.Release()
	}
}
