package core

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core/wire"
)

// What nobody looks at holds nothing up: a call on another channel is answered
// behind any amount of it, and what matters of it is there for who looks later.
func TestNobodyLooksAtNotifications(t *testing.T) {
	const many = 20_000
	tests := map[string]struct {
		use func(t *testing.T, p *peer, ch *Channel) (later func())
		in  func(t *testing.T) []byte
	}{
		"confirmations": {
			use: func(t *testing.T, p *peer, ch *Channel) func() {
				p.confirm(ch)
				all := publishes(t, p, ch, many)
				return func() {
					for i, c := range all {
						if o := c.Verdict().Outcome; o != OutcomeConfirmed {
							t.Fatalf("publish %d: %s", i, o)
						}
					}
				}
			},
			in: func(*testing.T) (b []byte) {
				for tag := range uint64(many) {
					b = wire.AppendAck(b, 1, tag+1, false)
				}
				return b
			},
		},
		"returns": {
			use: func(t *testing.T, p *peer, ch *Channel) func() {
				p.confirm(ch)
				var all []*Confirmation
				for range many {
					c, err := ch.PublishConfirm(bg, &Publishing{RoutingKey: "k", Mandatory: true})
					noErr(t, err)
					p.content(1)
					all = append(all, c)
				}
				return func() {
					for i, c := range all {
						if v := c.Verdict(); v.Outcome != OutcomeReturned || v.Return == nil {
							t.Fatalf("publish %d: %+v", i, v)
						}
					}
				}
			},
			in: func(t *testing.T) (b []byte) {
				for tag := range uint64(many) {
					props := Properties{Headers: Table{TagHeader: int64(tag + 1)}} // as all but the first are sent
					one := contentFrames(t, 1, &wire.BasicReturn{ReplyCode: 312, RoutingKey: "k"}, props, nil)
					b = wire.AppendAck(append(b, one...), 1, tag+1, false)
				}
				return b
			},
		},
		"cancels": {
			use: func(t *testing.T, p *peer, ch *Channel) func() {
				c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
				return func() { mustIs(t, c.Err(), ErrCancelled) }
			},
			in: func(t *testing.T) (b []byte) {
				one := encoded(t, 1, &wire.BasicCancel{ConsumerTag: "c"})
				for range many {
					b = append(b, one...)
				}
				return b
			},
		},
		"blocked and unblocked": {
			use: func(t *testing.T, _ *peer, ch *Channel) func() {
				return func() {
					if reason, blocked := ch.Conn().Blocked(); !blocked || reason != "last" {
						t.Errorf("blocked: %v, %q", blocked, reason)
					}
				}
			},
			in: func(t *testing.T) (b []byte) {
				one := encoded(t, 0, &wire.ConnectionBlocked{Reason: "r"}, &wire.ConnectionUnblocked{})
				for range many {
					b = append(b, one...)
				}
				return append(b, encoded(t, 0, &wire.ConnectionBlocked{Reason: "last"})...)
			},
		},
		"flow": {
			use: func(t *testing.T, p *peer, ch *Channel) func() {
				return func() { // the last one counts, and each is answered
					publish := async0(func() error { return ch.Publish(bg, &Publishing{}) })
					publish.waits(t)
					p.send(1, &wire.ChannelFlow{Active: true})
					for range many + 1 {
						want[*wire.ChannelFlowOk](p, 1)
					}
					publish.get(t)
					p.content(1)
				}
			},
			in: func(t *testing.T) (b []byte) {
				one := encoded(t, 1, &wire.ChannelFlow{Active: true}, &wire.ChannelFlow{Active: false})
				for range many / 2 {
					b = append(b, one...)
				}
				return b
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{Heartbeat: -1})
				later := tt.use(t, p, ch)
				other := p.channel(ch.Conn())
				in := tt.in(t)
				p.nc.In().SetBuffer(4 << 20)
				p.nc.Out().SetBuffer(len(in) + 100)
				rpc := async(func() (QueueDeclareOk, error) { return other.QueueDeclare(bg, QueueDeclare{Queue: "q"}) })
				want[*wire.QueueDeclare](p, 2)
				p.raw(append(in, encoded(t, 2, &wire.QueueDeclareOk{Queue: "q"})...))
				if ok := rpc.get(t); ok.Queue != "q" {
					t.Errorf("%+v", ok)
				}
				synctest.Wait()
				noErr(t, ch.Err())
				later()
			})
		})
	}
}

// A server that asks and reads the answers may ask for ever: what is bounded is what waits to be written.
func TestAnswersThatAreReadAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{Heartbeat: -1})
		const each = 5000
		batch := bytes.Repeat(encoded(t, 1, &wire.ChannelFlow{Active: true}), each)
		answer := len(encoded(t, 1, &wire.ChannelFlowOk{}))
		for read := 0; read <= maxAnswers; read += each * answer {
			p.raw(batch)
			for range each {
				want[*wire.ChannelFlowOk](p, 1)
			}
		}
		noErr(t, ch.Err())
	})
}
