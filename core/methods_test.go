package core

import (
	"reflect"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

var args = wire.Table{"x-max-length-bytes": int64(5_000_000_000), "nested": wire.Table{"a": []any{true, "x"}}}

// rpcs are the calls with an answer that says nothing, and what they send.
var rpcs = []struct {
	call func(ch *Channel) error
	sent wire.Method
}{
	{func(ch *Channel) error {
		return ch.ExchangeDeclare(bg, ExchangeDeclare{Exchange: "e", Type: "topic", Durable: true, AutoDelete: true, Internal: true, Arguments: args})
	}, &ExchangeDeclare{Exchange: "e", Type: "topic", Durable: true, AutoDelete: true, Internal: true, Arguments: args}},
	{func(ch *Channel) error {
		return ch.ExchangeDeclare(bg, ExchangeDeclare{Exchange: "e", Passive: true})
	}, &ExchangeDeclare{Exchange: "e", Passive: true}},
	{func(ch *Channel) error { return ch.ExchangeDelete(bg, ExchangeDelete{Exchange: "e", IfUnused: true}) }, &ExchangeDelete{Exchange: "e", IfUnused: true}},
	{func(ch *Channel) error {
		return ch.ExchangeBind(bg, ExchangeBind{Destination: "d", Source: "s", RoutingKey: "k", Arguments: args})
	}, &ExchangeBind{Destination: "d", Source: "s", RoutingKey: "k", Arguments: args}},
	{func(ch *Channel) error {
		return ch.ExchangeUnbind(bg, ExchangeUnbind{Destination: "d", Source: "s", RoutingKey: "k", Arguments: args})
	}, &ExchangeUnbind{Destination: "d", Source: "s", RoutingKey: "k", Arguments: args}},
	{func(ch *Channel) error {
		return ch.QueueBind(bg, QueueBind{Queue: "q", Exchange: "e", RoutingKey: "k", Arguments: args})
	}, &QueueBind{Queue: "q", Exchange: "e", RoutingKey: "k", Arguments: args}},
	{func(ch *Channel) error {
		return ch.QueueUnbind(bg, QueueUnbind{Queue: "q", Exchange: "e", RoutingKey: "k", Arguments: args})
	}, &QueueUnbind{Queue: "q", Exchange: "e", RoutingKey: "k", Arguments: args}},
	{func(ch *Channel) error {
		return ch.Qos(bg, BasicQos{PrefetchCount: 7, PrefetchSize: 8, Global: true})
	}, &BasicQos{PrefetchCount: 7, PrefetchSize: 8, Global: true}},
	{func(ch *Channel) error { return ch.Recover(bg, BasicRecover{Requeue: true}) }, &BasicRecover{Requeue: true}},
	{func(ch *Channel) error { return ch.Cancel(bg, BasicCancel{ConsumerTag: "c"}) }, &BasicCancel{ConsumerTag: "c"}},
	{func(ch *Channel) error { return ch.TxSelect(bg) }, &wire.TxSelect{}},
	{func(ch *Channel) error { return ch.TxCommit(bg) }, &wire.TxCommit{}},
	{func(ch *Channel) error { return ch.TxRollback(bg) }, &wire.TxRollback{}},
}

func TestCallsSendTheirArgumentsAndWait(t *testing.T) {
	for _, tt := range rpcs {
		t.Run(tt.sent.ID().String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				done := async0(func() error { return tt.call(ch) })
				if m := p.method(ch.ID()); !reflect.DeepEqual(m, tt.sent) {
					t.Errorf("sent %+v, want %+v", m, tt.sent)
				}
				done.waits(t)
				p.send(ch.ID(), echoOf(tt.sent))
				done.get(t)
				noErr(t, ch.Err())
			})
		})
	}
}

func TestCallsThatReturnSomething(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		declare := async(func() (QueueDeclareOk, error) {
			return ch.QueueDeclare(bg, QueueDeclare{Durable: true, Exclusive: true, AutoDelete: true, Arguments: args})
		})
		if m := want[*QueueDeclare](p, 1); !reflect.DeepEqual(m, &QueueDeclare{Durable: true, Exclusive: true, AutoDelete: true, Arguments: args}) {
			t.Errorf("sent %+v", m)
		}
		p.send(1, &QueueDeclareOk{Queue: "amq.gen-x", MessageCount: 3, ConsumerCount: 2})
		if ok := declare.get(t); ok != (QueueDeclareOk{Queue: "amq.gen-x", MessageCount: 3, ConsumerCount: 2}) {
			t.Errorf("%+v", ok)
		}
		purge := async(func() (int, error) { return ch.QueuePurge(bg, QueuePurge{Queue: "q"}) })
		want[*QueuePurge](p, 1)
		p.send(1, &wire.QueuePurgeOk{MessageCount: 9})
		if n := purge.get(t); n != 9 {
			t.Errorf("purged %d", n)
		}
		del := async(func() (int, error) { return ch.QueueDelete(bg, QueueDelete{Queue: "q", IfUnused: true, IfEmpty: true}) })
		if m := want[*QueueDelete](p, 1); !m.IfEmpty || !m.IfUnused || m.Queue != "q" {
			t.Errorf("sent %+v", m)
		}
		p.send(1, &wire.QueueDeleteOk{MessageCount: 4})
		if n := del.get(t); n != 4 {
			t.Errorf("deleted with %d", n)
		}
		flow := async(func() (bool, error) { return ch.Flow(bg, true) })
		want[*wire.ChannelFlow](p, 1)
		p.send(1, &wire.ChannelFlowOk{Active: true})
		if !flow.get(t) {
			t.Error("flow is off")
		}
	})
}

// The forms without an answer return at once, and the next answer is the next call's.
func TestNoWaitLeavesNoReplyBehind(t *testing.T) {
	for name, call := range map[string]func(ch *Channel) error{
		"exchange.declare": func(ch *Channel) error {
			return ch.ExchangeDeclare(bg, ExchangeDeclare{Exchange: "e", Type: "direct", NoWait: true})
		},
		"exchange.delete": func(ch *Channel) error { return ch.ExchangeDelete(bg, ExchangeDelete{NoWait: true}) },
		"exchange.bind":   func(ch *Channel) error { return ch.ExchangeBind(bg, ExchangeBind{NoWait: true}) },
		"exchange.unbind": func(ch *Channel) error { return ch.ExchangeUnbind(bg, ExchangeUnbind{NoWait: true}) },
		"queue.declare": func(ch *Channel) error {
			ok, err := ch.QueueDeclare(bg, QueueDeclare{Queue: "q", NoWait: true})
			if ok.Queue != "q" {
				panic("the name is lost")
			}
			return err
		},
		"queue.bind": func(ch *Channel) error { return ch.QueueBind(bg, QueueBind{NoWait: true}) },
		"queue.purge": func(ch *Channel) error {
			_, err := ch.QueuePurge(bg, QueuePurge{NoWait: true})
			return err
		},
		"queue.delete": func(ch *Channel) error {
			_, err := ch.QueueDelete(bg, QueueDelete{NoWait: true})
			return err
		},
		"basic.consume": func(ch *Channel) error {
			_, err := ch.Consume(bg, BasicConsume{ConsumerTag: "c", NoWait: true})
			return err
		},
		"basic.cancel":        func(ch *Channel) error { return ch.Cancel(bg, BasicCancel{ConsumerTag: "c", NoWait: true}) },
		"basic.recover-async": func(ch *Channel) error { return ch.RecoverAsync(bg, BasicRecoverAsync{Requeue: true}) },
		"confirm.select":      func(ch *Channel) error { return ch.Confirm(bg, ConfirmSelect{NoWait: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				noErr(t, call(ch))
				if m := p.method(1); m.ID().String() != name {
					t.Errorf("sent %s", m.ID())
				}
				next := async0(func() error { return ch.QueueUnbind(bg, QueueUnbind{}) })
				want[*wire.QueueUnbind](p, 1)
				next.waits(t)
				p.send(1, &wire.QueueUnbindOk{})
				next.get(t)
				noErr(t, ch.Err())
			})
		})
	}
}

// Whoever never waits for an answer waits for room in the buffer instead.
func TestNoWaitIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{WriteBuffer: 10_000, WriteTimeout: 1000000000000})
		p.nc.In().SetBuffer(0)
		done := async0(func() error {
			for range 10_000 {
				if err := ch.QueueBind(bg, QueueBind{Queue: "q", NoWait: true}); err != nil {
					return err
				}
			}
			return nil
		})
		done.waits(t)
		ch.conn.out.mu.Lock()
		if n := len(ch.conn.out.control); n > 11_000 {
			t.Errorf("%d bytes queued", n)
		}
		ch.conn.out.mu.Unlock()
		p.nc.In().SetBuffer(64 << 10)
		for range 10_000 {
			want[*wire.QueueBind](p, 1)
		}
		done.get(t)
	})
}

func TestInvalidInputIsRefusedBeforeAnythingIsSent(t *testing.T) {
	long := strings.Repeat("x", 256)
	deep := wire.Table{}
	for range 40 {
		deep = wire.Table{"t": deep}
	}
	for name, call := range map[string]func(ch *Channel) error{
		"exchange name":   func(ch *Channel) error { return ch.ExchangeDeclare(bg, ExchangeDeclare{Exchange: long}) },
		"exchange type":   func(ch *Channel) error { return ch.ExchangeDeclare(bg, ExchangeDeclare{Type: long}) },
		"queue name":      func(ch *Channel) error { _, err := ch.QueueDeclare(bg, QueueDeclare{Queue: long}); return err },
		"binding key":     func(ch *Channel) error { return ch.QueueBind(bg, QueueBind{RoutingKey: long}) },
		"consumer tag":    func(ch *Channel) error { _, err := ch.Consume(bg, BasicConsume{ConsumerTag: long}); return err },
		"no-wait consume": func(ch *Channel) error { _, err := ch.Consume(bg, BasicConsume{NoWait: true}); return err },
		"routing key":     func(ch *Channel) error { return ch.Publish(bg, &Publishing{RoutingKey: long}) },
		"exchange of publish": func(ch *Channel) error {
			return ch.Publish(bg, &Publishing{Exchange: long})
		},
		"message id": func(ch *Channel) error {
			return ch.Publish(bg, &Publishing{Properties: Properties{MessageID: long}})
		},
		"header value": func(ch *Channel) error {
			return ch.Publish(bg, &Publishing{Properties: Properties{Headers: wire.Table{"c": make(chan int)}}})
		},
		"headers larger than a frame": func(ch *Channel) error {
			return ch.Publish(bg, &Publishing{Properties: Properties{Headers: wire.Table{"big": strings.Repeat("x", 200_000)}}})
		},
		"arguments larger than a frame": func(ch *Channel) error {
			_, err := ch.QueueDeclare(bg, QueueDeclare{Arguments: wire.Table{"big": strings.Repeat("x", 200_000)}})
			return err
		},
		"arguments nested too deep": func(ch *Channel) error {
			_, err := ch.QueueDeclare(bg, QueueDeclare{Arguments: deep})
			return err
		},
		"argument that does not fit": func(ch *Channel) error {
			_, err := ch.QueueDeclare(bg, QueueDeclare{Arguments: wire.Table{"n": ^uint64(0)}})
			return err
		},
		"body": func(ch *Channel) error { return ch.Publish(bg, &Publishing{Body: make([]byte, 17<<20)}) },
		"argument name": func(ch *Channel) error {
			return ch.QueueUnbind(bg, QueueUnbind{Arguments: wire.Table{long: 1}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				e := mustAs[*ValidationError](t, call(ch))
				if e.Method == "" || len(e.Error()) > 200 {
					t.Errorf("%v", e)
				}
				p.quiet()
				noErr(t, ch.Publish(bg, &Publishing{Body: []byte("fine")}))
				if c := p.content(1); string(c.body) != "fine" {
					t.Errorf("body %q", c.body)
				}
			})
		})
	}
}

// The modes exclude each other, and the channel outlives the mistake.
func TestModesExcludeEachOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		mustIs(t, ch.TxSelect(bg), ErrConfirmMode)
		p.confirm(ch) // again, which changes nothing

		tx := p.channel(ch.Conn())
		done := async0(func() error { return tx.TxSelect(bg) })
		want[*wire.TxSelect](p, tx.ID())
		p.send(tx.ID(), &wire.TxSelectOk{})
		done.get(t)
		mustIs(t, tx.Confirm(bg, ConfirmSelect{}), ErrConfirmMode)
		mustIs(t, tx.PublishTo(bg, &Publishing{}, ignore{}), ErrConfirmMode)
		_, err := tx.PublishConfirm(bg, &Publishing{})
		mustIs(t, err, ErrConfirmMode)
		p.quiet()
	})
}
