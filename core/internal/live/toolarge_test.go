package live

import (
	"testing"

	"github.com/warren-mq/warren/core"
)

// A message above MaxBody can be dead-lettered unread, and those behind it are received.
func testTooLarge(t *testing.T, addr string) {
	s := open(t, addr, core.Config{MaxBody: 300_000})
	dead := s.queue()
	q, err := s.QueueDeclare(s.ctx, core.QueueDeclare{Queue: name(), Exclusive: true, Arguments: core.Table{
		"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead,
	}})
	s.ok(err)
	s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q.Queue, Body: make([]byte, 1_000_000)}))
	s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q.Queue, Body: []byte("small")}))
	sizes := make(chan uint64, 1)
	s.ok(s.Qos(s.ctx, core.BasicQos{PrefetchCount: 1}))
	c, err := s.Consume(s.ctx, core.BasicConsume{Queue: q.Queue}, core.OnTooLarge(func(d *core.Delivery, size uint64) {
		sizes <- size
		_ = d.Reject(false)
	}))
	s.ok(err)
	d, err := c.Receive(s.ctx)
	s.ok(err)
	if size := <-sizes; size != 1_000_000 || string(d.Body) != "small" {
		t.Errorf("%d bytes were too large, then came %q", size, d.Body)
	}
	s.ok(d.Ack())
	s.awaitCount(dead, 1)
}
