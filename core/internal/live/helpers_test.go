package live

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
)

// session is a connection and a channel for one test, with names of its own.
type session struct {
	*core.Channel
	t   *testing.T
	ctx context.Context
}

var names atomic.Int64

// name returns one that no other test has.
func name() string { return fmt.Sprintf("warren.live.%d", names.Add(1)) }

func open(t *testing.T, addr string, cfg core.Config) session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	cfg.Addr = addr
	c, err := core.Dial(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	s := session{t: t, ctx: ctx}
	return s.on(c)
}

// on is a session with a further channel of the connection.
func (s session) on(c *core.Conn) session {
	s.t.Helper()
	ch, err := c.Channel(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Channel = ch
	return s
}

// again is a session with a new channel of the same connection.
func (s session) again() session { return s.on(s.Conn()) }

func (s session) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// fails wants this code, from the server, for the channel or the connection.
func (s session) fails(err error, code core.Code, scope core.Scope) {
	s.t.Helper()
	e, is := errs.AsType[*core.Error](err)
	if !is || e.Code != code || e.Scope != scope || !e.Server {
		s.t.Fatalf("error %v, want %v of the %s", err, code, scope)
	}
}

// queue declares an exclusive queue.
func (s session) queue() string {
	s.t.Helper()
	q, err := s.QueueDeclare(s.ctx, core.QueueDeclare{Queue: name(), Exclusive: true})
	s.ok(err)
	return q.Queue
}

// exchange declares an auto-delete exchange.
func (s session) exchange(kind string) string {
	s.t.Helper()
	e := name()
	s.ok(s.ExchangeDeclare(s.ctx, core.ExchangeDeclare{Exchange: e, Type: kind, AutoDelete: true, Durable: true}))
	return e
}

// routes fails unless a mandatory message, published on a channel of its own, ends so.
func (s session) routes(exchange, key string, want core.Outcome) {
	s.t.Helper()
	other := s.again()
	s.ok(other.Confirm(s.ctx, core.ConfirmSelect{}))
	c, err := other.PublishConfirm(s.ctx, &core.Publishing{Exchange: exchange, RoutingKey: key, Mandatory: true})
	s.ok(err)
	v, err := c.Wait(s.ctx)
	if err != nil || v.Outcome != want {
		s.t.Errorf("a message to %s with key %s: %s, %v; want %s", exchange, key, v.Outcome, err, want)
	}
	s.ok(other.Close(s.ctx))
}

// get fetches a message that must come within a few seconds.
func (s session) get(queue string) *core.Delivery {
	s.t.Helper()
	for begin := time.Now(); time.Since(begin) < 5*time.Second; {
		d, err := s.Get(s.ctx, core.BasicGet{Queue: queue, NoAck: true})
		s.ok(err)
		if d != nil {
			return d
		}
	}
	s.t.Fatal("the message does not come")
	return nil
}

// count is how many messages are ready.
func (s session) count(queue string) int {
	s.t.Helper()
	q, err := s.QueueDeclare(s.ctx, core.QueueDeclare{Queue: queue, Passive: true})
	s.ok(err)
	return int(q.MessageCount)
}

// awaitCount waits until so many messages are ready.
func (s session) awaitCount(queue string, want int) {
	s.t.Helper()
	for begin := time.Now(); time.Since(begin) < 5*time.Second; {
		if s.count(queue) == want {
			return
		}
	}
	s.t.Fatalf("%d messages are ready, want %d", s.count(queue), want)
}

// deletesOne wants a deleted queue to be counted with the one message that it
// held. RabbitMQ 4.3 now and then says 0, seen in the first moments of a broker:
// then another queue is tried.
func (s session) deletesOne() {
	s.t.Helper()
	for begin := time.Now(); time.Since(begin) < 10*time.Second; {
		queue := s.queue()
		s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: queue}))
		s.awaitCount(queue, 1)
		n, err := s.QueueDelete(s.ctx, core.QueueDelete{Queue: queue})
		s.ok(err)
		switch n {
		case 1:
			return
		case 0:
		default:
			s.t.Fatalf("deleted %d messages, there was one", n)
		}
	}
	s.t.Error("a deleted queue is never counted with its message")
}
