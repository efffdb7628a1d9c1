package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
)

func testConfirms(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	s.ok(s.Confirm(s.ctx, core.ConfirmSelect{}))
	full := name() // takes one message and refuses the others
	_, err := s.QueueDeclare(s.ctx, core.QueueDeclare{Queue: full, Exclusive: true, Arguments: core.Table{"x-max-length": 1, "x-overflow": "reject-publish"}})
	s.ok(err)
	open := s.queue()
	var all []*core.Confirmation
	for i := range 2000 {
		key := open
		if i%10 == 0 {
			key = full
		}
		c, err := s.PublishConfirm(s.ctx, &core.Publishing{RoutingKey: key, Mandatory: true})
		s.ok(err)
		all = append(all, c)
	}
	for i, c := range all {
		v, err := c.Wait(s.ctx)
		s.ok(err)
		want := core.OutcomeConfirmed
		if i%10 == 0 && i > 0 {
			want = core.OutcomeNacked
		}
		if v.Outcome != want {
			t.Fatalf("message %d: %s, want %s", i, v.Outcome, want)
		}
	}
	if n := s.count(open); n != 1800 {
		t.Errorf("%d messages in the queue", n)
	}
	s.ok(s.Confirm(s.ctx, core.ConfirmSelect{})) // again: the sequence goes on
	c, err := s.PublishConfirm(s.ctx, &core.Publishing{RoutingKey: open})
	s.ok(err)
	if v, err := c.Wait(s.ctx); err != nil || v.Outcome != core.OutcomeConfirmed {
		t.Error(v, err)
	}
}

func testReturns(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	told := make(chan *core.Return, 100)
	s.OnReturn(func(r *core.Return) { told <- r })
	s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: "nowhere", Mandatory: true, Body: []byte("plain")}))
	if r := <-told; r.Code != core.ErrNoRoute || r.RoutingKey != "nowhere" || string(r.Body) != "plain" {
		t.Errorf("%+v", r)
	}
	s.ok(s.Confirm(s.ctx, core.ConfirmSelect{}))
	q := s.queue()
	var all []*core.Confirmation
	for i := range 60 {
		p := core.Publishing{RoutingKey: []string{q, "nowhere", "nowhere"}[i%3], Mandatory: i%3 != 2, Body: fmt.Appendf(nil, "%d", i)}
		c, err := s.PublishConfirm(s.ctx, &p)
		s.ok(err)
		all = append(all, c)
	}
	for i, c := range all {
		v, err := c.Wait(s.ctx)
		s.ok(err)
		want := []core.Outcome{core.OutcomeConfirmed, core.OutcomeReturned, core.OutcomeConfirmed}[i%3]
		if v.Outcome != want {
			t.Fatalf("message %d: %s, want %s", i, v.Outcome, want)
		}
		if want == core.OutcomeReturned && string(v.Return.Body) != fmt.Sprint(i) {
			t.Errorf("message %d got the return of %q", i, v.Return.Body)
		}
	}
	if len(told) != 20 {
		t.Errorf("%d returns told", len(told))
	}
}

func testTransactions(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	q := s.queue()
	other := s.again()
	s.ok(s.TxSelect(s.ctx))
	for range 2 {
		s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q}))
	}
	if n := other.count(q); n != 0 {
		t.Errorf("%d messages before the commit", n)
	}
	s.ok(s.TxCommit(s.ctx))
	if n := other.count(q); n != 2 {
		t.Errorf("%d messages behind the commit", n)
	}
	s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q}))
	s.ok(s.TxRollback(s.ctx))
	if n := other.count(q); n != 2 {
		t.Errorf("%d messages behind the rollback", n)
	}
	if err := s.Confirm(s.ctx, core.ConfirmSelect{}); !errors.Is(err, core.ErrConfirmMode) {
		t.Error(err)
	}
	s.fails(other.TxCommit(s.ctx), core.ErrPreconditionFailed, core.ScopeChannel)
}

func testGetAndAcks(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	q := s.queue()
	for i := range 6 {
		s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q, Body: fmt.Appendf(nil, "%d", i)}))
	}
	var all []*core.Delivery
	for range 6 {
		d, err := s.Get(s.ctx, core.BasicGet{Queue: q})
		s.ok(err)
		if d == nil || d.MessageCount != uint32(5-len(all)) {
			t.Fatalf("%+v", d)
		}
		all = append(all, d)
	}
	if d, err := s.Get(s.ctx, core.BasicGet{Queue: q}); d != nil || err != nil {
		t.Fatalf("%+v, %v", d, err)
	}
	s.ok(all[2].Ack())
	s.ok(all[0].Ack())
	s.ok(all[1].Nack(true)) // between two acks
	s.ok(all[3].Reject(false))
	s.ok(s.Nack(0, true, true)) // the other two
	var back strings.Builder
	for range 3 {
		back.WriteString(string(s.get(q).Body))
	}
	if back.String() != "145" {
		t.Errorf("back came %q", back.String())
	}
	s.ok(s.Err())
	s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q}))
	d, err := s.Get(s.ctx, core.BasicGet{Queue: q})
	s.ok(err)
	s.ok(s.Recover(s.ctx, core.BasicRecover{Requeue: true}))
	if again := s.get(q); !again.Redelivered || d.Redelivered {
		t.Errorf("%+v", again)
	}
}

func testConsume(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	q := s.queue()
	s.ok(s.Qos(s.ctx, core.BasicQos{PrefetchCount: 100}))
	c, err := s.Consume(s.ctx, core.BasicConsume{Queue: q})
	s.ok(err)
	if !strings.HasPrefix(c.Tag(), "amq.ctag-") {
		t.Errorf("tag %q", c.Tag())
	}
	publisher := s.again()
	const n = 5000
	go func() {
		for i := range n {
			if publisher.Publish(s.ctx, &core.Publishing{RoutingKey: q, Body: fmt.Appendf(nil, "%d", i)}) != nil {
				return
			}
		}
	}()
	for i := range n {
		d, err := c.Receive(s.ctx)
		s.ok(err)
		if string(d.Body) != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, d.Body)
		}
		s.ok(d.Ack())
	}
	s.ok(c.Cancel(s.ctx))
	if n := s.count(q); n != 0 {
		t.Errorf("%d messages left", n)
	}
	s.ok(publisher.Publish(s.ctx, &core.Publishing{RoutingKey: q}))
	auto, err := s.Consume(s.ctx, core.BasicConsume{Queue: q, NoAck: true, Exclusive: true, ConsumerTag: "auto", NoWait: true})
	s.ok(err)
	d, err := auto.Receive(s.ctx)
	s.ok(err)
	if err := d.Ack(); !errors.Is(err, core.ErrSettled) {
		t.Error(err)
	}
	_, err = s.again().Consume(s.ctx, core.BasicConsume{Queue: q})
	s.fails(err, core.ErrAccessRefused, core.ScopeChannel)
	s.ok(s.Cancel(s.ctx, core.BasicCancel{ConsumerTag: "auto", NoWait: true}))
	s.ok(s.Cancel(s.ctx, core.BasicCancel{ConsumerTag: "never was"}))
}

// In the first moments of a broker RabbitMQ 4 deletes a queue and tells its
// consumer nothing: then another queue is tried.
func testServerCancel(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	for begin := time.Now(); ; {
		q := s.queue()
		c, err := s.Consume(s.ctx, core.BasicConsume{Queue: q})
		s.ok(err)
		_, err = s.again().QueueDelete(s.ctx, core.QueueDelete{Queue: q})
		s.ok(err)
		soon, cancel := context.WithTimeout(s.ctx, 3*time.Second)
		_, err = c.Receive(soon)
		cancel()
		if errors.Is(err, core.ErrCancelled) {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 15*time.Second {
			t.Fatal(err)
		}
	}
	s.queue() // the channel lives, and the broker took the answer well
	s.ok(s.Err())
}

func testChannelErrors(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	for range 50 {
		ch := s.again()
		s.ok(ch.Publish(s.ctx, &core.Publishing{Exchange: name(), Body: []byte("x")}))
		<-ch.Done()
		s.fails(ch.Err(), core.ErrNotFound, core.ScopeChannel)
	}
	s.queue() // the others do not notice
}

func testConnectionErrors(t *testing.T, addr string) {
	t.Run("immediate", func(t *testing.T) { // known to cost the connection: not sent
		s := open(t, addr, core.Config{})
		err := s.Publish(s.ctx, &core.Publishing{RoutingKey: "x", Immediate: true})
		if _, ok := errs.AsType[*core.ValidationError](err); !ok {
			t.Errorf("immediate: %v", err)
		}
		s.queue() // nobody noticed
	})
	for what, call := range map[string]func(s session) error{
		"prefetch size": func(s session) error { return s.Qos(s.ctx, core.BasicQos{PrefetchSize: 1}) },
		"flow off": func(s session) error {
			_, err := s.Flow(s.ctx, false)
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := open(t, addr, core.Config{})
			_ = call(s) // some have no answer
			select {
			case <-s.Conn().Done():
			case <-time.After(10 * time.Second):
				t.Fatal("the connection lives")
			}
			s.fails(s.Conn().Err(), core.ErrNotImplemented, core.ScopeConnection)
			s.fails(s.Err(), core.ErrNotImplemented, core.ScopeConnection)
		})
	}
}

func testLimits(t *testing.T, addr string) {
	s := open(t, addr, core.Config{ChannelMax: 4, MaxPublish: 64 << 20})
	for range 3 {
		s.again()
	}
	if _, err := s.Conn().Channel(s.ctx); !errors.Is(err, core.ErrChannelsExhausted) {
		t.Error(err)
	}
	s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: "x", Body: make([]byte, 17<<20)}))
	<-s.Done()
	s.fails(s.Err(), core.ErrPreconditionFailed, core.ScopeChannel)
	s.again().queue() // which waits until the whole of the body was read
}
