package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Every caller gets its own reply, however many call at once.
func TestRepliesGoToTheirCallers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		go runEcho(p)
		var all []*result[struct{}]
		for g := range 16 {
			all = append(all, async0(func() error {
				for i := range 200 {
					name := fmt.Sprintf("q-%d-%d", g, i)
					ok, err := ch.QueueDeclare(bg, QueueDeclare{Queue: name})
					if err != nil {
						return err
					}
					if ok.Queue != name {
						return fmt.Errorf("asked for %s, got %s", name, ok.Queue)
					}
				}
				return nil
			}))
		}
		for _, call := range all {
			call.get(t)
		}
	})
}

// Several requests are in flight, and the first that fails names the culprit.
func TestPipelinedRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		var replies []*Reply
		for i := range 3 {
			r, err := ch.Request(bg, &QueueDeclare{Queue: fmt.Sprint("q", i)})
			noErr(t, err)
			replies = append(replies, r)
		}
		for range 3 {
			want[*wire.QueueDeclare](p, ch.ID())
		}
		refused := wire.MethodQueueDeclare
		p.send(ch.ID(), &wire.QueueDeclareOk{Queue: "q0"}, &wire.ChannelClose{ReplyCode: 406, ClassID: refused.Class(), MethodID: refused.Method()})
		m, err := replies[0].Wait(bg)
		noErr(t, err)
		if m.(*wire.QueueDeclareOk).Queue != "q0" {
			t.Errorf("%+v", m)
		}
		for i, r := range replies[1:] {
			_, err := r.Wait(bg)
			mustIs(t, err, ErrPreconditionFailed)
			if errors.Is(err, ErrIgnored) != (i > 0) { // only the first of them was looked at
				t.Errorf("request %d: %v", i+1, err)
			}
		}
	})
}

// While replies keep coming the server is not given up, however long the queue.
func TestTimeoutCountsFromTheLastReply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{RPCTimeout: 10 * time.Second})
		var replies []*Reply
		for range 5 {
			r, err := ch.Request(bg, &QueueBind{})
			noErr(t, err)
			replies = append(replies, r)
		}
		last := async(func() (wire.Method, error) { return replies[4].Wait(bg) })
		for range 5 {
			time.Sleep(8 * time.Second)
			p.send(ch.ID(), &wire.QueueBindOk{})
		}
		last.get(t)
	})
}

func TestUnansweredRequestCondemnsTheChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{RPCTimeout: 10 * time.Second})
		begin := time.Now()
		first := async0(func() error { return ch.QueueBind(bg, QueueBind{}) })
		second := async0(func() error { return ch.QueueUnbind(bg, QueueUnbind{}) })
		go func() { // they are no answer
			for range 11 {
				time.Sleep(900 * time.Millisecond)
				p.raw(wire.AppendHeartbeat(nil))
			}
		}()
		mustIs(t, first.fail(t), ErrTimeout)
		mustIs(t, second.fail(t), ErrTimeout)
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("after %s", d)
		}
		<-ch.Done()
		mustIs(t, ch.Err(), ErrTimeout)
		noErr(t, ch.Conn().Err())
		p.frame()
		p.frame()
		want[*wire.ChannelClose](p, ch.ID())
	})
}

// A context that ends in the middle of a reply loses none of its bytes: the
// rest is read, and the next reply is the next call's.
func TestContextEndsInTheMiddleOfAReply(t *testing.T) {
	reply := encoded(t, 1, &wire.QueueDeclareOk{Queue: "a", MessageCount: 1})
	for cut := range len(reply) {
		bubble(t, func(t *testing.T) {
			ch, p := openChannel(t, Config{})
			ctx, cancel := context.WithCancel(bg)
			first := async(func() (QueueDeclareOk, error) { return ch.QueueDeclare(ctx, QueueDeclare{Queue: "a"}) })
			want[*wire.QueueDeclare](p, ch.ID())
			p.raw(reply[:cut])
			synctest.Wait()
			cancel()
			mustIs(t, first.fail(t), context.Canceled)
			second := async(func() (QueueDeclareOk, error) { return ch.QueueDeclare(bg, QueueDeclare{Queue: "b"}) })
			want[*wire.QueueDeclare](p, ch.ID())
			p.raw(reply[cut:])
			second.waits(t)
			p.send(ch.ID(), &wire.QueueDeclareOk{Queue: "b", MessageCount: 2})
			if ok := second.get(t); ok.Queue != "b" || ok.MessageCount != 2 {
				t.Errorf("cut after %d: got %+v", cut, ok)
			}
			noErr(t, ch.Err())
		})
	}
}

// The end of ctx ends the waiting; the late reply is nobody else's.
func TestContextEndsDuringARequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		ctx, cancel := context.WithCancelCause(bg)
		first := async(func() (QueueDeclareOk, error) { return ch.QueueDeclare(ctx, QueueDeclare{Queue: "a"}) })
		want[*wire.QueueDeclare](p, ch.ID())
		cause := fmt.Errorf("shutting down")
		cancel(cause)
		mustIs(t, first.fail(t), cause)
		second := async(func() (QueueDeclareOk, error) { return ch.QueueDeclare(bg, QueueDeclare{Queue: "b"}) })
		want[*wire.QueueDeclare](p, ch.ID())
		p.send(ch.ID(), &wire.QueueDeclareOk{Queue: "a"})
		second.waits(t)
		p.send(ch.ID(), &wire.QueueDeclareOk{Queue: "b"})
		if ok := second.get(t); ok.Queue != "b" {
			t.Errorf("got %s", ok.Queue)
		}
		_, err := ch.QueueDeclare(ctx, QueueDeclare{Queue: "c"})
		mustIs(t, err, cause)
		p.quiet() // nothing is sent with a context that has ended
	})
}

// A consumer and a message that come too late are undone.
func TestLateRepliesAreUndone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		ctx, cancel := context.WithCancel(bg)
		consume := async(func() (*Consumer, error) { return ch.Consume(ctx, BasicConsume{ConsumerTag: "c"}) })
		want[*wire.BasicConsume](p, ch.ID())
		get := async(func() (*Delivery, error) { return ch.Get(ctx, BasicGet{Queue: "q"}) })
		want[*wire.BasicGet](p, ch.ID())
		cancel()
		mustIs(t, consume.fail(t), context.Canceled)
		mustIs(t, get.fail(t), context.Canceled)
		p.send(ch.ID(), &wire.BasicConsumeOk{ConsumerTag: "c"})
		if m := want[*wire.BasicCancel](p, ch.ID()); m.ConsumerTag != "c" || m.NoWait {
			t.Errorf("%+v", m)
		}
		p.deliver(ch.ID(), "c", 1, "meanwhile")
		if m := want[*wire.BasicNack](p, ch.ID()); m.DeliveryTag != 1 || !m.Requeue {
			t.Errorf("%+v", m)
		}
		p.sendContent(ch.ID(), &wire.BasicGetOk{DeliveryTag: 2}, wire.Properties{}, nil)
		if m := want[*wire.BasicNack](p, ch.ID()); m.DeliveryTag != 2 || !m.Requeue {
			t.Errorf("%+v", m)
		}
		p.send(ch.ID(), &wire.BasicCancelOk{ConsumerTag: "c"})
		synctest.Wait()
		noErr(t, ch.Err())
		if n := ch.Conn().Stats().Requeued; n != 1 {
			t.Errorf("%d requeued", n)
		}
	})
}

// What came with automatic ack is settled: nothing of it can be put back, and
// a nack of it would close the channel.
func TestLateAutomaticAckDeliveriesAreDropped(t *testing.T) {
	for name, stop := range map[string]func(ch *Channel, p *peer){
		"consumer cancelled without waiting": func(ch *Channel, p *peer) {
			p.consume(ch, BasicConsume{ConsumerTag: "c", NoAck: true})
			noErr(t, ch.Cancel(bg, BasicCancel{ConsumerTag: "c", NoWait: true}))
			want[*wire.BasicCancel](p, 1)
			p.deliver(1, "c", 1, "x")
		},
		"consume given up": func(ch *Channel, p *peer) {
			ctx, cancel := context.WithCancel(bg)
			call := async(func() (*Consumer, error) { return ch.Consume(ctx, BasicConsume{NoAck: true}) })
			want[*wire.BasicConsume](p, 1)
			cancel()
			mustIs(p.t, call.fail(p.t), context.Canceled)
			p.send(1, &wire.BasicConsumeOk{ConsumerTag: "gen"})
			p.deliver(1, "gen", 1, "x")
			want[*wire.BasicCancel](p, 1)
			p.send(1, &wire.BasicCancelOk{ConsumerTag: "gen"})
		},
		"get given up": func(ch *Channel, p *peer) {
			ctx, cancel := context.WithCancel(bg)
			call := async(func() (*Delivery, error) { return ch.Get(ctx, BasicGet{NoAck: true}) })
			want[*wire.BasicGet](p, 1)
			cancel()
			mustIs(p.t, call.fail(p.t), context.Canceled)
			p.sendContent(1, &wire.BasicGetOk{DeliveryTag: 1}, Properties{}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				stop(ch, p)
				p.quiet()
				if s := ch.Conn().Stats(); s.Dropped != 1 || s.Requeued != 0 {
					t.Errorf("%+v", s)
				}
				c := p.consume(ch, BasicConsume{ConsumerTag: "c"}) // the tag's next owner
				p.deliver(1, "c", 2, "x")
				noErr(t, receive(t, c).Ack())
			})
		})
	}
}

// The tags of consumers that were given up are remembered within a bound.
func TestGivenUpTagsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, _ := openChannel(t, Config{})
		ch.mu.Lock()
		defer ch.mu.Unlock()
		for i := range 3 * maxGivenUp {
			ch.noteGivenUpLocked(fmt.Sprint(i))
		}
		last := fmt.Sprint(3*maxGivenUp - 1)
		if n := len(ch.givenUp); n != maxGivenUp || ch.givenUp[n-1] != last {
			t.Errorf("%d tags", n)
		}
	})
}

// The reply may come in the instant in which ctx ends: then it counts.
func TestReplyInTheInstantOfTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, _ := openChannel(t, Config{})
		for range 200 {
			ctx, cancel := context.WithCancel(bg)
			p := newPending(&wire.BasicGet{})
			ch.mu.Lock()
			ch.calls = append(ch.calls, p)
			ch.mu.Unlock()
			cancel()
			d := &Delivery{}
			noErr(t, ch.onReply(&wire.BasicGetOk{}, d)) // popped before anybody waits
			if _, err := (&Reply{ch, p}).Wait(ctx); err != nil {
				t.Fatalf("a reply was lost: %v", err)
			}
		}
	})
}

func TestReplyThatNobodyAskedFor(t *testing.T) {
	for _, m := range []wire.Method{&wire.QueueDeclareOk{}, &wire.BasicGetEmpty{}, &wire.BasicConsumeOk{}, &wire.ChannelOpenOk{}, &wire.ConfirmSelectOk{}, &wire.BasicAck{DeliveryTag: 1}} {
		bubble(t, func(t *testing.T) {
			ch, p := openChannel(t, Config{})
			p.send(ch.ID(), m)
			if c := want[*wire.ConnectionClose](p, 0); Code(c.ReplyCode) != ErrCommandInvalid {
				t.Errorf("%s: %+v", m.ID(), c)
			}
			<-ch.Done()
			mustIs(t, ch.Err(), ErrCommandInvalid)
		})
	}
}

func TestReplyOfTheWrongKind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		call := async0(func() error { return ch.QueueBind(bg, QueueBind{}) })
		want[*wire.QueueBind](p, ch.ID())
		p.send(ch.ID(), &wire.QueueUnbindOk{})
		mustIs(t, call.fail(t), ErrCommandInvalid)
	})
}

// The call ends with the connection, at once, not with a timeout.
func TestConsumeOkForAnotherTag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		call := async(func() (*Consumer, error) { return ch.Consume(bg, BasicConsume{ConsumerTag: "mine"}) })
		want[*wire.BasicConsume](p, ch.ID())
		p.send(ch.ID(), &wire.BasicConsumeOk{ConsumerTag: "other"})
		mustIs(t, call.fail(t), ErrCommandInvalid)
	})
}

// A tag that the server gives twice would leave a consumer that nothing ends.
func TestConsumeOkRepeatsATag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		c := p.consume(ch, BasicConsume{})
		waiting := async(func() (*Delivery, error) { return c.Receive(bg) })
		call := async(func() (*Consumer, error) { return ch.Consume(bg, BasicConsume{}) })
		want[*wire.BasicConsume](p, ch.ID())
		p.send(ch.ID(), &wire.BasicConsumeOk{ConsumerTag: c.Tag()})
		mustIs(t, call.fail(t), ErrCommandInvalid)
		mustIs(t, waiting.fail(t), ErrCommandInvalid)
		<-c.Done()
	})
}

// Request takes what changes only the broker's state.
func TestRequestRefusesWhatHasItsOwnMethod(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		for _, m := range []wire.Method{
			&BasicConsume{}, &BasicGet{}, &ConfirmSelect{}, &wire.TxSelect{}, &wire.ChannelClose{}, &wire.ChannelOpen{},
			&wire.ChannelFlow{}, &wire.BasicPublish{}, &wire.ConnectionClose{}, &QueueBind{NoWait: true}, &QueueDeclare{NoWait: true},
			&ExchangeDeclare{NoWait: true}, &ExchangeDelete{NoWait: true}, &ExchangeBind{NoWait: true}, &ExchangeUnbind{NoWait: true},
			&QueueDelete{NoWait: true}, &QueuePurge{NoWait: true}, &BasicCancel{NoWait: true}, &BasicRecover{},
		} {
			_, err := ch.Request(bg, m)
			mustAs[*ValidationError](t, err)
		}
		for _, m := range []wire.Method{&QueueUnbind{}, &BasicQos{}, &BasicRecover{Requeue: true}, &wire.TxRollback{}, &wire.TxCommit{}} {
			_, err := ch.Request(bg, m)
			noErr(t, err)
			p.frame()
		}
		p.quiet()
	})
}

// When the server closes a channel over one request it has done those in front of it and ignores those behind
// it. What it does not blame may have been done, and is not called ignored.
func TestWhichRequestsAreIgnored(t *testing.T) {
	declare := &wire.QueueDeclare{}
	calls := []wire.Method{&wire.QueueBind{}, declare, &wire.QueueBind{}, &wire.QueueDeclare{}}
	blamed := Error{Code: ErrNotFound, Scope: ScopeChannel, Server: true, Method: declare.ID().String()}
	with := func(change func(*Error)) *Error {
		e := blamed
		change(&e)
		return &e
	}
	for name, tt := range map[string]struct {
		cause error
		want  []bool // ignored
	}{
		"the second is blamed":         {&blamed, []bool{false, false, true, true}},
		"the first is blamed":          {with(func(e *Error) { e.Method = "queue.bind" }), []bool{false, true, true, true}},
		"another method is blamed":     {with(func(e *Error) { e.Method = "basic.ack" }), make([]bool, 4)},
		"none is blamed":               {with(func(e *Error) { e.Method = "" }), make([]bool, 4)},
		"the whole connection ends":    {with(func(e *Error) { e.Scope = ScopeConnection }), make([]bool, 4)},
		"a fault found on this side":   {with(func(e *Error) { e.Server = false }), make([]bool, 4)},
		"the connection is lost":       {lost(io.EOF), make([]bool, 4)},
		"the application closes it":    {ErrClosed, make([]bool, 4)},
		"wrapped, the last one blamed": {fmt.Errorf("so: %w", &blamed), []bool{false, false, true, true}},
	} {
		var all []*pending
		for _, m := range calls {
			all = append(all, newPending(m))
		}
		failCalls(all, tt.cause)
		for i, p := range all {
			<-p.done
			err := p.err
			if !errors.Is(err, tt.cause) || errors.Is(err, ErrIgnored) != tt.want[i] {
				t.Errorf("%s: call %d: %v, want ignored %v", name, i, err, tt.want[i])
			}
		}
	}
}
