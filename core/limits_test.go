package core

import (
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// Each limit of the configuration is the one in force: what keeps to it passes,
// one more does not.
func TestLimitsAreSettable(t *testing.T) {
	nestedTwice := Properties{Headers: wire.Table{"a": wire.Table{"b": "c"}}}
	fields := Properties{Headers: wire.Table{"a": "1", "b": "2", "c": "3"}}
	for _, tt := range []struct {
		name        string
		cfg, looser Config
		send        func(p *peer)
		code        Code
		scope       Scope
	}{
		{"TableDepth", Config{TableDepth: 1}, Config{TableDepth: 2}, func(p *peer) {
			p.sendContent(1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1}, nestedTwice, nil)
		}, ErrSyntax, ScopeConnection},
		{"TableFields", Config{TableFields: 2}, Config{TableFields: 3}, func(p *peer) {
			p.sendContent(1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1}, fields, nil)
		}, ErrSyntax, ScopeConnection},
		{"MaxBody", Config{MaxBody: 9}, Config{MaxBody: 10}, func(p *peer) { p.deliver(1, "c", 1, "0123456789") }, ErrContentTooLarge, ScopeChannel},
		{"FrameMax", Config{FrameMax: 8192}, Config{FrameMax: 8193}, func(p *peer) {
			p.deliver(1, "c", 1, strings.Repeat("x", 8193-wire.FrameOverhead))
		}, ErrFrame, ScopeConnection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openWithPlainServer(t, tt.cfg)
				p.consume(ch, BasicConsume{ConsumerTag: "c"})
				tt.send(p)
				<-ch.Done()
				if e := mustAs[*Error](t, ch.Err()); e.Code != tt.code || e.Scope != tt.scope {
					t.Errorf("%+v", e)
				}
			})
			bubble(t, func(t *testing.T) {
				ch, p := openWithPlainServer(t, tt.looser)
				c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
				tt.send(p)
				receive(t, c)
			})
		})
	}
}

// openWithPlainServer is openChannel with a server that says nothing of itself.
func openWithPlainServer(t *testing.T, cfg Config) (*Channel, *peer) {
	t.Helper()
	p, nc := newPeer(t)
	dial := async(func() (*Conn, error) { return Open(t.Context(), nc, cfg) })
	p.header()
	s := start()
	s.ServerProperties = nil
	p.send(0, s)
	want[*wire.ConnectionStartOk](p, 0)
	p.send(0, &wire.ConnectionTune{})
	want[*wire.ConnectionTuneOk](p, 0)
	want[*wire.ConnectionOpen](p, 0)
	p.send(0, &wire.ConnectionOpenOk{})
	c := dial.get(t)
	t.Cleanup(func() {
		_ = p.nc.Close()
		<-c.Done()
	})
	return p.channel(c), p
}

func TestPublishAndHandshakeLimitsAreSettable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{MaxPublish: 10})
		mustAs[*ValidationError](t, ch.Publish(bg, &Publishing{Body: make([]byte, 11)}))
		noErr(t, ch.Publish(bg, &Publishing{Body: make([]byte, 10)}))
		p.content(1)
	})
	bubble(t, func(t *testing.T) {
		p, nc := newPeer(t)
		dial := async(func() (*Conn, error) { return Open(bg, nc, Config{HandshakeFrameMax: 20_000}) })
		p.header()
		s := start()
		s.ServerProperties = wire.Table{"x": strings.Repeat("y", 15_000)}
		p.send(0, s)
		want[*wire.ConnectionStartOk](p, 0)
		_ = p.nc.Close()
		dial.fail(t)
	})
}
