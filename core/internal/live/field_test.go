package live

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
)

// Before RabbitMQ 4.2 the replies repeat their delivery tag.
func testDirectReplies(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	server := s.again()
	q := server.queue()
	requests, err := server.Consume(s.ctx, core.BasicConsume{Queue: q, NoAck: true})
	s.ok(err)
	const pseudo = "amq.rabbitmq.reply-to"
	replies, err := s.Consume(s.ctx, core.BasicConsume{Queue: pseudo, NoAck: true})
	s.ok(err)
	own := s.queue()
	for i := range 10 {
		s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q, Body: fmt.Append(nil, i), Properties: core.Properties{ReplyTo: pseudo}}))
		d, err := requests.Receive(s.ctx)
		s.ok(err)
		s.ok(server.Publish(s.ctx, &core.Publishing{RoutingKey: d.Properties().ReplyTo, Body: d.Body}))
		r, err := replies.Receive(s.ctx)
		s.ok(err)
		if string(r.Body) != fmt.Sprint(i) {
			t.Errorf("call %d was answered %q", i, r.Body)
		}
		// Between them something that has to be acked.
		s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: own}))
		m, err := s.Get(s.ctx, core.BasicGet{Queue: own})
		s.ok(err)
		s.ok(m.Ack())
	}
	s.ok(s.Err())
	s.ok(s.Close(s.ctx))
	if n := server.count(own); n != 0 {
		t.Errorf("%d messages were not acked", n)
	}
}

// What a channel's queues answer comes behind everything else, and not at all once the channel is closed.
func testAnswersOutOfOrder(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	q := s.queue()
	for range 20 {
		ch := s.again()
		var calls sync.WaitGroup
		call := func(f func() error) {
			calls.Go(func() {
				if err := f(); err != nil && !errors.Is(err, core.ErrClosed) {
					t.Error(err)
				}
			})
		}
		consume := func() error { _, err := ch.Consume(s.ctx, core.BasicConsume{Queue: q, ConsumerTag: "c"}); return err }
		declare := func() error { _, err := ch.QueueDeclare(s.ctx, core.QueueDeclare{Queue: q, Passive: true}); return err }
		cancel := func() error { return ch.Cancel(s.ctx, core.BasicCancel{ConsumerTag: "c"}) }
		call(consume)
		call(declare)
		call(declare)
		calls.Wait()
		call(cancel)
		call(declare)
		call(func() error { return ch.Qos(s.ctx, core.BasicQos{PrefetchCount: 1}) })
		calls.Wait()
		s.ok(ch.Err())
		call(consume)
		calls.Wait()
		call(cancel)
		call(func() error { return ch.Close(s.ctx) })
		calls.Wait()
		s.ok(s.Conn().Err())
	}
}

// Until a commit is answered RabbitMQ closes the connection over whatever comes.
func testCommitAmongOthers(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	q := s.queue()
	s.ok(s.TxSelect(s.ctx))
	for range 20 {
		s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q}))
		s.ok(s.TxCommit(s.ctx))
		d, err := s.Get(s.ctx, core.BasicGet{Queue: q})
		s.ok(err)
		s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q}))
		var calls sync.WaitGroup
		for _, f := range []func() error{
			func() error { return s.TxCommit(s.ctx) }, func() error { return s.Qos(s.ctx, core.BasicQos{PrefetchCount: 1}) }, d.Ack,
			func() error { return s.Publish(s.ctx, &core.Publishing{RoutingKey: "nowhere"}) }, func() error { return s.TxCommit(s.ctx) },
		} {
			calls.Go(func() {
				if err := f(); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		s.ok(s.TxCommit(s.ctx))
		s.get(q)
	}
	s.ok(s.Conn().Err())
}

// RabbitMQ 4.3 alone cancels the consumer; a channel that is closed then costs nobody else anything.
func testAckTimeout(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	var major, minor int
	version, _ := s.Conn().Server().Properties["version"].(string)
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil || major < 4 || major == 4 && minor < 3 {
		return // the others close the channel, after a time that is set for the whole broker
	}
	var consumers []*core.Consumer
	for range 4 {
		ch := s.again()
		q, err := ch.QueueDeclare(s.ctx, core.QueueDeclare{Queue: name(), Durable: true, Arguments: core.Table{
			"x-queue-type": "quorum", "x-consumer-timeout": int64(1000),
		}})
		s.ok(err)
		defer func() { _, _ = s.QueueDelete(s.ctx, core.QueueDelete{Queue: q.Queue}) }()
		c, err := ch.Consume(s.ctx, core.BasicConsume{Queue: q.Queue})
		s.ok(err)
		consumers = append(consumers, c)
		s.ok(ch.Publish(s.ctx, &core.Publishing{RoutingKey: q.Queue, Properties: core.Properties{DeliveryMode: 2}}))
		_, err = c.Receive(s.ctx)
		s.ok(err)
	}
	for _, c := range consumers {
		<-c.Done()
		s.ok(c.Channel().Close(s.ctx))
		if err := c.Err(); !errors.Is(err, core.ErrCancelled) {
			t.Error(err)
		}
	}
	s.queue() // the connection lives
	s.ok(s.Conn().Err())
}

// What was received is published on, and received again as it was: times too that others write.
func testForwarding(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	from, to := s.queue(), s.queue()
	for _, seconds := range []int64{1_700_000_000_000, -86400, -1, 0, 253402300800, -1 << 63, time.Time{}.Unix()} {
		at := time.Unix(seconds, 0).UTC()
		if at.IsZero() {
			at = at.Add(1)
		}
		p := core.Properties{Timestamp: at, Headers: core.Table{
			"when": at, "nested": []any{core.Table{"when": at}}, "b": int8(-128), "B": uint8(255), "s": int16(-1), "u": uint16(65535),
			"I": int32(-1), "i": uint32(1 << 31), "l": int64(-1 << 63), "f": float32(0.5), "d": 0.25, "D": core.Decimal{Scale: 2, Value: -5},
			"x": []byte{0, 255}, "S": "é", "t": true, "V": nil, "F": core.Table{}, "A": []any{},
		}}
		s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: from, Properties: p, Body: []byte("m")}))
		first := s.get(from)
		s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: to, Properties: first.Properties(), Body: first.Body}))
		second := s.get(to)
		if a, b := printed(p), printed(second.Properties()); a != b || string(second.Body) != "m" {
			t.Errorf("%d: published\n%s\nreceived\n%s", seconds, a, b)
		}
		s.ok(s.Err())
	}
}

// printed has every value with its type.
func printed(p core.Properties) string {
	frame, err := wire.AppendHeader(nil, 1, wire.ClassBasic, 0, &p)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%x", frame))
}
