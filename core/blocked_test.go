package core

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

func TestBlockedHoldsPublishesBackAndNothingElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type change struct {
			reason  string
			blocked bool
		}
		var told []change
		ch, p := openChannel(t, Config{OnBlocked: func(reason string, blocked bool) { told = append(told, change{reason, blocked}) }})
		consumer := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		p.deliver(ch.ID(), "c", 1, "x")
		for range 3 { // a flood is told once
			p.send(0, &wire.ConnectionBlocked{Reason: "low on\nmemory"})
		}
		synctest.Wait()
		if reason, blocked := ch.Conn().Blocked(); !blocked || reason != "low on\nmemory" {
			t.Errorf("blocked %q %v", reason, blocked)
		}
		publish := async0(func() error { return ch.Publish(bg, &Publishing{Body: []byte("later")}) })
		publish.waits(t)
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		err := ch.Publish(ctx, &Publishing{})
		mustIs(t, err, context.DeadlineExceeded)
		mustIs(t, err, ErrBlocked)
		if text := err.Error(); !strings.HasSuffix(text, `: "low on\nmemory"`) {
			t.Errorf("error %q", text)
		}

		noErr(t, receive(t, consumer).Ack())
		want[*wire.BasicAck](p, ch.ID())
		rpc := async0(func() error { return ch.QueueBind(bg, QueueBind{Queue: "q"}) })
		want[*wire.QueueBind](p, ch.ID())
		p.send(ch.ID(), &wire.QueueBindOk{})
		rpc.get(t)

		p.send(0, &wire.ConnectionUnblocked{}, &wire.ConnectionUnblocked{})
		publish.get(t)
		if c := p.content(ch.ID()); string(c.body) != "later" {
			t.Errorf("body %q", c.body)
		}
		if _, blocked := ch.Conn().Blocked(); blocked || len(told) != 2 || told[0] != (change{`"low on\nmemory"`, true}) || told[1].blocked {
			t.Errorf("still %v, told %v", blocked, told)
		}
	})
}

func TestBlockedPublisherLearnsOfTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.send(0, &wire.ConnectionBlocked{})
		synctest.Wait()
		publish := async0(func() error { return ch.Publish(bg, &Publishing{}) })
		publish.waits(t)
		p.nc.Reset()
		if publish.fail(t) == nil {
			t.Error("published on a dead connection")
		}
	})
}

// A broker in alarm stops reading; that is no reason to give it up, and Close
// is bounded all the same.
func TestBlockedServerThatDoesNotReadIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteTimeout: time.Second, CloseTimeout: 3 * time.Second, Heartbeat: 10 * time.Second})
		p.nc.In().SetBuffer(0)
		noErr(t, ch.Publish(bg, &Publishing{Body: make([]byte, 1000)}))
		synctest.Wait() // the write is under way, with a deadline
		p.send(0, &wire.ConnectionBlocked{Reason: "memory"})
		for range 60 {
			time.Sleep(10 * time.Second)
			p.raw(wire.AppendHeartbeat(nil))
		}
		synctest.Wait()
		noErr(t, ch.Conn().Err())
		begin := time.Now()
		mustIs(t, ch.Conn().Close(bg), ErrTimeout)
		if d := time.Since(begin); d != 3*time.Second {
			t.Errorf("close took %s", d)
		}
	})
}

// When it unblocks and still does not read, the write has a deadline again.
func TestUnblockedServerMustRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteTimeout: time.Second, Heartbeat: -1})
		p.nc.In().SetBuffer(0)
		p.send(0, &wire.ConnectionBlocked{})
		synctest.Wait()
		noErr(t, ch.Conn().SendHeartbeat())
		time.Sleep(time.Minute)
		noErr(t, ch.Err())
		p.send(0, &wire.ConnectionUnblocked{})
		begin := time.Now()
		<-ch.Conn().Done()
		mustIs(t, ch.Err(), ErrTimeout)
		if d := time.Since(begin); d != time.Second {
			t.Errorf("given up after %s", d)
		}
	})
}

// A peer that stops reading stalls the writer only, and not for ever. Nobody
// else waits for it: neither calls with a context, nor Close, nor the reader.
func TestWriteStall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteTimeout: 20 * time.Second, WriteBuffer: 1000, Heartbeat: 60 * time.Second})
		consumer := p.consume(ch, BasicConsume{ConsumerTag: "c"})
		p.nc.In().SetBuffer(0)
		begin := time.Now()
		noErr(t, ch.Publish(bg, &Publishing{Body: make([]byte, 2000)})) // taken by the writer
		synctest.Wait()
		noErr(t, ch.Publish(bg, &Publishing{Body: make([]byte, 2000)})) // fills the buffer
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		mustIs(t, ch.Publish(ctx, &Publishing{}), context.DeadlineExceeded)
		_, err := ch.QueueDeclare(ctx, QueueDeclare{})
		mustIs(t, err, context.DeadlineExceeded)
		p.deliver(ch.ID(), "c", 1, "still read")
		noErr(t, receive(t, consumer).Ack())
		stuck := async0(func() error { return ch.Publish(bg, &Publishing{}) })
		stuck.waits(t)
		mustIs(t, stuck.fail(t), ErrTimeout)
		<-ch.Conn().Done()
		if d := time.Since(begin); d != 20*time.Second {
			t.Errorf("given up after %s", d)
		}
	})
}

// A slow peer that reads at all is not given up.
func TestSlowReaderIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteTimeout: 10 * time.Second, Heartbeat: -1})
		p.nc.In().SetBuffer(64 << 10)
		noErr(t, ch.Publish(bg, &Publishing{Body: make([]byte, 200<<10)}))
		b := make([]byte, 32<<10)
		for total := 0; total < 200<<10; {
			time.Sleep(2 * time.Second)
			n, err := p.nc.Read(b)
			noErr(t, err)
			total += n
		}
		noErr(t, ch.Conn().Err())
	})
}
