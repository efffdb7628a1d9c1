package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// publishes sends n messages in confirm mode and reads them on the peer's side.
func publishes(t *testing.T, p *peer, ch *Channel, n int) []*Confirmation {
	t.Helper()
	var all []*Confirmation
	for i := range n {
		c, err := ch.PublishConfirm(bg, &Publishing{RoutingKey: fmt.Sprint(i + 1), Mandatory: true})
		noErr(t, err)
		p.content(ch.ID())
		all = append(all, c)
	}
	return all
}

// outcomes lists the verdicts once all goroutines wait.
func outcomes(all []*Confirmation) string {
	synctest.Wait()
	var s strings.Builder
	for _, c := range all {
		s.WriteString(map[Outcome]string{OutcomePending: ".", OutcomeConfirmed: "a", OutcomeReturned: "r", OutcomeNacked: "n", OutcomeNotSent: "-", OutcomeUnknown: "?"}[c.Verdict().Outcome])
	}
	return s.String()
}

func TestConfirms(t *testing.T) {
	ack := func(tag uint64, multiple bool) wire.Method {
		return &wire.BasicAck{DeliveryTag: tag, Multiple: multiple}
	}
	nack := func(tag uint64, multiple bool) wire.Method {
		return &wire.BasicNack{DeliveryTag: tag, Multiple: multiple, Requeue: true} // RabbitMQ sets it
	}
	for _, tt := range []struct {
		name string
		sent []wire.Method
		want string
	}{
		{"nothing yet", nil, "........"},
		{"one", []wire.Method{ack(1, false)}, "a......."},
		{"out of order", []wire.Method{ack(3, false), ack(1, false)}, "a.a....."},
		{"multiple", []wire.Method{ack(4, true)}, "aaaa...."},
		{"multiple of one", []wire.Method{ack(1, true)}, "a......."},
		{"all", []wire.Method{ack(0, true)}, "aaaaaaaa"},
		{"nack", []wire.Method{nack(2, false)}, ".n......"},
		{"nack multiple", []wire.Method{nack(3, true)}, "nnn....."},
		{"nack all", []wire.Method{nack(0, true)}, "nnnnnnnn"},
		{"a later multiple leaves what was nacked", []wire.Method{nack(2, false), nack(4, false), ack(5, true)}, "anana..."},
		{"a later nack leaves what was acked", []wire.Method{ack(2, false), nack(3, true)}, "nan....."},
		{"twice", []wire.Method{ack(1, false), ack(1, false), nack(1, false)}, "a......."},
		{"behind the settled ones", []wire.Method{ack(4, true), ack(2, true), nack(3, false)}, "aaaa...."},
		{"mixed to the end", []wire.Method{ack(2, false), ack(1, false), ack(4, true), ack(6, true), ack(8, false), nack(7, false)}, "aaaaaana"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				p.confirm(ch)
				all := publishes(t, p, ch, 8)
				p.send(ch.ID(), tt.sent...)
				if got := outcomes(all); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				noErr(t, ch.Err())
			})
		})
	}
}

func TestConfirmForWhatWasNeverPublished(t *testing.T) {
	for _, m := range []wire.Method{
		&wire.BasicAck{DeliveryTag: 9}, &wire.BasicAck{DeliveryTag: 9, Multiple: true}, &wire.BasicAck{DeliveryTag: 1<<64 - 1, Multiple: true},
		&wire.BasicAck{DeliveryTag: 0}, &wire.BasicNack{DeliveryTag: 1 << 63}, &wire.BasicNack{DeliveryTag: 1 << 63, Multiple: true},
	} {
		bubble(t, func(t *testing.T) {
			ch, p := openChannel(t, Config{})
			p.confirm(ch)
			all := publishes(t, p, ch, 8)
			p.send(ch.ID(), m)
			if c := want[*wire.ConnectionClose](p, 0); Code(c.ReplyCode) != ErrCommandInvalid {
				t.Errorf("%+v", c)
			}
			<-ch.Done()
			if got := outcomes(all); got != "????????" {
				t.Errorf("%+v: %s", m, got)
			}
		})
	}
}

func TestConfirmationWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		c := publishes(t, p, ch, 1)[0]
		if v := c.Verdict(); v.Outcome != OutcomePending {
			t.Errorf("%+v", v)
		}
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		_, err := c.Wait(ctx)
		mustIs(t, err, context.DeadlineExceeded)
		wait := async(func() (Verdict, error) { return c.Wait(bg) })
		wait.waits(t)
		p.send(1, &wire.BasicNack{DeliveryTag: 1})
		if v := wait.get(t); v.Outcome != OutcomeNacked || v.Return != nil || v.Cause != nil {
			t.Errorf("%+v", v)
		}
		<-c.Done()
	})
}

// A publisher with a full window waits for a confirm, its context, or the end.
func TestConfirmWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{ConfirmWindow: 2})
		p.confirm(ch)
		publishes(t, p, ch, 2)
		next := async(func() (*Confirmation, error) { return ch.PublishConfirm(bg, &Publishing{}) })
		next.waits(t)
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		mustIs(t, ch.Publish(ctx, &Publishing{}), context.DeadlineExceeded)
		p.quiet()
		p.send(1, &wire.BasicAck{DeliveryTag: 2})
		next.get(t)
		p.content(1)
		last := async(func() (*Confirmation, error) { return ch.PublishConfirm(bg, &Publishing{}) })
		last.waits(t)
		p.send(1, &wire.ChannelClose{ReplyCode: 404})
		mustIs(t, last.fail(t), ErrNotFound)
	})
}

// One publish that is never settled holds the others up only far beyond the window.
func TestConfirmWindowSpan(t *testing.T) {
	c := newConfirms()
	c.add(ignore{}, 0, 0)
	tags := 1
	for ; !c.full(100); tags++ {
		tag := c.add(ignore{}, 0, 0)
		if _, err := c.settle(nil, tag, false, OutcomeConfirmed); err != nil {
			t.Fatal(err)
		}
	}
	if tags != 100*maxSpan || len(c.ring) > 2*100*maxSpan {
		t.Errorf("full after %d, ring of %d", tags, len(c.ring))
	}
}

// Nothing that a publish has handed over is without a verdict, and none has two.
func TestVerdictsUnderConcurrentUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		const each, publishers = 100, 8
		count := &verdictCount{seen: map[int]int{}}
		for g := range publishers {
			go func() {
				for i := range each {
					_ = ch.PublishTo(bg, &Publishing{}, countOne{count, g*each + i})
				}
			}()
		}
		for tag := range uint64(each * publishers / 2) {
			p.content(1)
			if tag%10 == 9 {
				p.send(1, &wire.BasicAck{DeliveryTag: tag + 1, Multiple: true})
			}
		}
		p.nc.Reset()
		<-ch.Done()
		synctest.Wait()
		for id, n := range count.seen {
			if n != 1 {
				t.Errorf("publish %d has %d verdicts", id, n)
			}
		}
		if len(count.seen) < each*publishers/2 {
			t.Errorf("%d verdicts", len(count.seen))
		}
	})
}

type verdictCount struct {
	mu   sync.Mutex // guards the following
	seen map[int]int
}

type countOne struct {
	c  *verdictCount
	id int
}

func (o countOne) Settle(Verdict) {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	o.c.seen[o.id]++
}

// However many bytes got out before the connection broke: what counts as not
// sent has no byte at the peer, and what the peer has in full is never not sent.
func TestCutAtEveryPosition(t *testing.T) {
	body := []byte("0123456789")
	one := len(contentFrames(t, 1, &wire.BasicPublish{RoutingKey: "k"}, wire.Properties{}, body))
	for at := range 3*one + 1 {
		bubble(t, func(t *testing.T) {
			ch, p := openChannel(t, Config{})
			p.confirm(ch)
			p.nc.In().CutAfter(int64(at))
			var all []*Confirmation
			for range 3 {
				c, err := ch.PublishConfirm(bg, &Publishing{RoutingKey: "k", Body: body})
				if err != nil { // the connection broke before
					break
				}
				all = append(all, c)
			}
			<-ch.Done()
			for i, c := range all {
				v := c.Verdict()
				mustIs(t, v.Cause, syscall.ECONNRESET)
				wantOutcome := OutcomeUnknown
				if i*one >= at {
					wantOutcome = OutcomeNotSent
				}
				if v.Outcome != wantOutcome {
					t.Errorf("cut after %d: message %d at %d is %s", at, i, i*one, v.Outcome)
				}
			}
		})
	}
}

// What waited in the buffer when the server closed the channel is not sent,
// though it is written: the server ignores it.
func TestWhatWaitsWhenTheServerClosesIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		p.nc.In().SetBuffer(0)
		first, err := ch.PublishConfirm(bg, &Publishing{})
		noErr(t, err)
		synctest.Wait()
		second, err := ch.PublishConfirm(bg, &Publishing{})
		noErr(t, err)
		p.send(1, &wire.ChannelClose{ReplyCode: 404})
		<-ch.Done()
		if a, b := first.Verdict(), second.Verdict(); a.Outcome != OutcomeUnknown || b.Outcome != OutcomeNotSent {
			t.Errorf("%s, %s", a.Outcome, b.Outcome)
		}
		mustIs(t, second.Verdict().Cause, ErrNotFound)
		p.nc.In().SetBuffer(1000)
		p.content(1)
		p.content(1)
		want[*wire.ChannelCloseOk](p, 1)
	})
}

func TestVerdictAsError(t *testing.T) {
	cause := &Error{Code: ErrNotFound, Server: true}
	for _, tt := range []struct {
		v    Verdict
		is   []error
		text string
	}{
		{Verdict{Outcome: OutcomeReturned, Return: &Return{Code: ErrNoRoute, Text: "NO_ROUTE"}}, []error{ErrReturned, ErrNoRoute}, "amqp: message returned: no queue took it: no-route (312): NO_ROUTE"},
		{Verdict{Outcome: OutcomeNacked}, []error{ErrNacked}, "amqp: message refused by the broker"},
		{Verdict{Outcome: OutcomeNotSent, Cause: cause}, []error{ErrNotSent, ErrNotFound}, ""},
		{Verdict{Outcome: OutcomeUnknown, Cause: cause}, []error{ErrUnknown, ErrNotFound}, ""},
	} {
		err := tt.v.Err()
		for _, target := range tt.is {
			mustIs(t, err, target)
		}
		if tt.text != "" && err.Error() != tt.text {
			t.Errorf("%q", err)
		}
		if e := mustAs[*OutcomeError](t, err); e.Verdict != tt.v {
			t.Errorf("%+v", e)
		}
		for _, other := range []error{ErrReturned, ErrNacked, ErrNotSent, ErrUnknown} {
			if errors.Is(err, other) && !slices.Contains(tt.is, other) {
				t.Errorf("%v is also %v", err, other)
			}
		}
	}
	if err := (Verdict{Outcome: OutcomeConfirmed}).Err(); err != nil {
		t.Errorf("%v", err)
	}
	for o, text := range map[Outcome]string{OutcomePending: "pending", OutcomeUnknown: "unknown", 77: "outcome 77"} {
		if o.String() != text {
			t.Errorf("%q", o.String())
		}
	}
}
