package core

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core/wire"
)

// giveBack returns a message as RabbitMQ does, in front of its ack.
func (p *peer) giveBack(ch *Channel, c content) {
	p.t.Helper()
	p.sendContent(ch.ID(), &wire.BasicReturn{
		ReplyCode: 312, ReplyText: "NO_ROUTE", Exchange: c.publish.Exchange, RoutingKey: c.publish.RoutingKey,
	}, c.props, c.body)
}

func TestReturnedMessageIsItsPublishs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		var listened []*Return
		ch.OnReturn(func(r *Return) { listened = append(listened, r) })
		var all []*Confirmation
		var sent []content
		for i := range 6 {
			c, err := ch.PublishConfirm(bg, &Publishing{
				Exchange: "e", RoutingKey: fmt.Sprint("k", i%2), Mandatory: true, Properties: Properties{MessageID: fmt.Sprint(i)}, Body: []byte("b"),
			})
			noErr(t, err)
			all, sent = append(all, c), append(sent, p.content(1))
		}
		for _, i := range []int{1, 4} {
			p.giveBack(ch, sent[i])
		}
		if got := outcomes(all); got != "......" {
			t.Errorf("a verdict before the confirm: %s", got)
		}
		p.send(1, &wire.BasicAck{DeliveryTag: 6, Multiple: true})
		if got := outcomes(all); got != "araara" {
			t.Errorf("outcomes %s", got)
		}
		r := all[4].Verdict().Return
		if r.Code != ErrNoRoute || r.Text != "NO_ROUTE" || r.Exchange != "e" || r.RoutingKey != "k0" || string(r.Body) != "b" || r.Properties().MessageID != "4" {
			t.Errorf("%+v", r)
		}
		if len(listened) != 2 || listened[1] != r {
			t.Errorf("listener got %v", listened)
		}
	})
}

// Messages that look the same are told apart, whichever of them is returned: all but one carry their tag.
func TestReturnsOfEqualMessages(t *testing.T) {
	long := bytes.Repeat([]byte("x"), markBody)
	for name, equal := range map[string]func(i int) Publishing{
		"in everything":              func(int) Publishing { return Publishing{Body: []byte("same")} },
		"in the beginning of a body": func(i int) Publishing { return Publishing{Body: append(long, byte(i))} },
		"in the message id": func(i int) Publishing {
			return Publishing{Body: []byte{byte(i)}, Properties: Properties{MessageID: "order-1"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for returned := range 16 {
				bubble(t, func(t *testing.T) {
					ch, p := openChannel(t, Config{})
					p.confirm(ch)
					var all []*Confirmation
					var sent []content
					publish := func(i int) {
						m := equal(i)
						m.RoutingKey, m.Mandatory = "k", true
						m.Properties.Headers = Table{"mine": int32(i)}
						c, err := ch.PublishConfirm(bg, &m)
						noErr(t, err)
						all, sent = append(all, c), append(sent, p.content(1))
						if len(m.Properties.Headers) != 1 {
							t.Errorf("the sender's headers were changed: %v", m.Properties.Headers)
						}
					}
					for i := range 4 {
						publish(i)
					}
					var want strings.Builder
					for i := range 4 {
						verdict := "a"
						if returned>>i&1 != 0 {
							p.giveBack(ch, sent[i])
							verdict = "r"
						}
						p.send(1, &wire.BasicAck{DeliveryTag: uint64(i + 1)})
						want.WriteString(verdict)
					}
					if got := outcomes(all); got != want.String() {
						t.Errorf("outcomes %s, want %s", got, want.String())
					}
					for i, c := range all {
						if r := c.Verdict().Return; r != nil && !reflect.DeepEqual(r.Properties().Headers, Table{"mine": int32(i)}) {
							t.Errorf("the return shows headers %v", r.Properties().Headers)
						}
					}
					publish(4)
					if _, tagged := sent[4].props.Headers[TagHeader]; tagged || sent[0].props.Headers[TagHeader] != nil {
						t.Error("a tag where nothing could be mistaken for the message")
					}
					noErr(t, ch.Err())
				})
			}
		})
	}
}

// Messages that differ carry nothing of ours, nor do those that cannot be returned.
func TestTagIsSentOnlyWhereItIsNeeded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		for i := range 200 {
			m := &Publishing{RoutingKey: "k", Mandatory: true, Properties: Properties{MessageID: fmt.Sprint(i)}}
			if i%3 == 0 {
				m = &Publishing{RoutingKey: "same"}
			}
			_, err := ch.PublishConfirm(bg, m)
			noErr(t, err)
			if c := p.content(1); c.props.Headers != nil {
				t.Fatalf("message %d carries %v", i, c.props.Headers)
			}
		}
	})
}

// A message that was received with the header, and is published on, has its own.
func TestTagOfAnotherChannelIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		received := Table{TagHeader: int64(1)}
		var all []*Confirmation
		for range 2 {
			c, err := ch.PublishConfirm(bg, &Publishing{RoutingKey: "k", Mandatory: true, Properties: Properties{Headers: received}})
			noErr(t, err)
			all = append(all, c)
		}
		p.content(1)
		p.giveBack(ch, p.content(1))
		p.send(1, &wire.BasicAck{DeliveryTag: 2, Multiple: true})
		if got := outcomes(all); got != "ar" || received[TagHeader] != int64(1) {
			t.Errorf("outcomes %s, headers %v", got, received)
		}
		if h := all[1].Verdict().Return.Properties().Headers; h != nil {
			t.Errorf("the return shows headers %v", h)
		}
	})
}

// A message from before confirm mode may be returned when others have followed.
func TestReturnFromBeforeConfirmMode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		m := &Publishing{RoutingKey: "k", Mandatory: true}
		noErr(t, ch.Publish(bg, m))
		before := p.content(1)
		noErr(t, ch.Confirm(bg, ConfirmSelect{NoWait: true}))
		want[*wire.ConfirmSelect](p, 1)
		var all []*Confirmation
		for range 2 {
			c, err := ch.PublishConfirm(bg, m)
			noErr(t, err)
			all = append(all, c)
		}
		p.content(1)
		second := p.content(1)
		p.giveBack(ch, before)
		p.giveBack(ch, second)
		p.send(1, &wire.BasicAck{DeliveryTag: 2, Multiple: true})
		if got := outcomes(all); got != "ar" {
			t.Errorf("outcomes %s", got)
		}
		_, err := ch.PublishConfirm(bg, m)
		noErr(t, err)
		if c := p.content(1); c.props.Headers != nil {
			t.Errorf("a tag though nothing can be mistaken any more: %v", c.props.Headers)
		}
	})
}

// A return with a tag that is not in flight, or is no number, belongs to nothing.
func TestReturnsWithWrongTags(t *testing.T) {
	for _, tag := range []any{int64(0), int64(-1), int64(2), int64(1) << 62, int32(1), "1", nil} {
		bubble(t, func(t *testing.T) {
			ch, p := openChannel(t, Config{})
			p.confirm(ch)
			c, err := ch.PublishConfirm(bg, &Publishing{RoutingKey: "k", Mandatory: true})
			noErr(t, err)
			p.content(1)
			p.giveBack(ch, content{publish: wire.BasicPublish{RoutingKey: "k"}, props: Properties{Headers: Table{TagHeader: tag}}})
			p.send(1, &wire.BasicAck{DeliveryTag: 1})
			if got := outcomes([]*Confirmation{c}); got != "a" {
				t.Errorf("tag %v: outcome %s", tag, got)
			}
			noErr(t, ch.Err())
		})
	}
}

// A nack wins over a return, a loss does not: the broker said that no queue has it.
func TestReturnAndOtherEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		all := make([]*Confirmation, 2)
		for i := range all {
			all[i], _ = ch.PublishConfirm(bg, &Publishing{RoutingKey: fmt.Sprint(i), Mandatory: true})
			p.giveBack(ch, p.content(1))
		}
		p.send(1, &wire.BasicNack{DeliveryTag: 1})
		synctest.Wait()
		p.nc.Reset()
		<-ch.Done()
		if got := outcomes(all); got != "nr" {
			t.Errorf("outcomes %s", got)
		}
	})
}

// A return that belongs to nothing is told to the listener, and harms nobody.
func TestStrayReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		n := 0
		ch.OnReturn(func(*Return) { n++ })
		stray := content{publish: wire.BasicPublish{RoutingKey: "x"}}
		p.giveBack(ch, stray) // without confirm mode
		p.confirm(ch)
		c, err := ch.PublishConfirm(bg, &Publishing{RoutingKey: "y", Mandatory: true})
		noErr(t, err)
		p.content(1)
		p.giveBack(ch, stray)
		p.send(1, &wire.BasicAck{DeliveryTag: 1})
		p.giveBack(ch, content{publish: wire.BasicPublish{RoutingKey: "y"}}) // behind its confirm
		synctest.Wait()
		if v := c.Verdict(); v.Outcome != OutcomeConfirmed || n != 3 {
			t.Errorf("%s, %d returns told", v.Outcome, n)
		}
		noErr(t, ch.Err())
	})
}
