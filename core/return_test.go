package core

import (
	"fmt"
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

// Messages that cannot be told apart are told apart by their order.
func TestReturnsOfEqualMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		all := make([]*Confirmation, 4)
		var c content
		for i := range all {
			var err error
			all[i], err = ch.PublishConfirm(bg, &Publishing{RoutingKey: "nowhere", Mandatory: true, Body: []byte("same")})
			noErr(t, err)
			c = p.content(1)
		}
		p.giveBack(ch, c)
		p.giveBack(ch, c)
		p.send(1, &wire.BasicAck{DeliveryTag: 2, Multiple: true})
		p.giveBack(ch, c)
		p.send(1, &wire.BasicAck{DeliveryTag: 3})
		if got := outcomes(all); got != "rrr." {
			t.Errorf("outcomes %s", got)
		}
	})
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
		if v := c.Verdict(); v.Outcome != Confirmed || n != 3 {
			t.Errorf("%s, %d returns told", v.Outcome, n)
		}
		noErr(t, ch.Err())
	})
}
