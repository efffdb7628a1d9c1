package core

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
)

func TestHandshakeSendsWhatTheConfigSays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, nc := newPeer(t)
		cfg := Config{
			VHost: "v", Name: "orders", Locale: "de_DE", Credentials: Login("u", "p"), Heartbeat: 7 * time.Second,
			Properties: wire.Table{"team": "x", "product": "mine"},
		}
		dial := async(func() (*Conn, error) { return Open(bg, nc, cfg) })
		startOk, tuneOk := p.greet(&wire.ConnectionTune{ChannelMax: 100, FrameMax: 50000, Heartbeat: 60})
		if startOk.Mechanism != "PLAIN" || string(startOk.Response) != "\x00u\x00p" || startOk.Locale != "de_DE" {
			t.Errorf("start-ok: %+v, response %q", startOk, []byte(startOk.Response))
		}
		props := startOk.ClientProperties
		if props["team"] != "x" || props["product"] != "mine" || props["connection_name"] != "orders" {
			t.Errorf("client properties %v", props)
		}
		caps, _ := props["capabilities"].(wire.Table)
		for _, name := range []string{
			"authentication_failure_close", "basic.nack", "connection.blocked", "consumer_cancel_notify",
			"exchange_exchange_bindings", "publisher_confirms",
		} {
			if caps[name] != true {
				t.Errorf("capability %s not announced: %v", name, caps)
			}
		}
		if *tuneOk != (wire.ConnectionTuneOk{ChannelMax: 100, FrameMax: 50000, Heartbeat: 7}) {
			t.Errorf("tune-ok %+v", tuneOk)
		}
		if o := want[*wire.ConnectionOpen](p, 0); o.VirtualHost != "v" {
			t.Errorf("vhost %q", o.VirtualHost)
		}
		p.send(0, &wire.ConnectionOpenOk{})
		c := dial.get(t)
		if !c.Has("basic.nack") || c.Has("other") || c.Server().Properties["product"] != "peer" || c.Server().Mechanisms != "PLAIN AMQPLAIN" {
			t.Errorf("server %+v", c.Server())
		}
		if got := c.Tuned(); got != (Tuned{ChannelMax: 100, FrameMax: 50000, Heartbeat: 7 * time.Second}) {
			t.Errorf("tuned %+v", got)
		}
		if c.Err() != nil || c.LocalAddr() == nil || c.RemoteAddr().String() != "127.0.0.1:5672" {
			t.Errorf("error %v, addresses %v %v", c.Err(), c.LocalAddr(), c.RemoteAddr())
		}
		_ = p.nc.Close()
		<-c.Done()
	})
}

// The caller's tables are copied, not kept and not changed.
func TestHandshakeLeavesTheConfigAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		caps := wire.Table{"mine": true}
		props := wire.Table{"capabilities": caps}
		p, nc := newPeer(t)
		dial := async(func() (*Conn, error) { return Open(bg, nc, Config{Properties: props}) })
		startOk, _ := p.greet(tune())
		if got, _ := startOk.ClientProperties["capabilities"].(wire.Table); got["mine"] != true {
			t.Errorf("capabilities %v: the caller's win", got)
		}
		want[*wire.ConnectionOpen](p, 0)
		p.send(0, &wire.ConnectionOpenOk{})
		c := dial.get(t)
		_ = p.nc.Close()
		<-c.Done()
		if len(caps) != 1 || len(props) != 1 {
			t.Errorf("changed to %v", props)
		}
	})
}

func TestNegotiate(t *testing.T) {
	const s = time.Second
	mine := Tuned{ChannelMax: 2047, FrameMax: 131072, Heartbeat: 10 * s}
	for _, tt := range []struct {
		name   string
		client Tuned
		server wire.ConnectionTune
		want   Tuned
	}{
		{"the server's are lower", mine, wire.ConnectionTune{ChannelMax: 16, FrameMax: 8192, Heartbeat: 5}, Tuned{16, 8192, 5 * s}},
		{"the client's are lower", mine, wire.ConnectionTune{ChannelMax: 65535, FrameMax: 1 << 30, Heartbeat: 60}, mine},
		{"the server has no limits", mine, wire.ConnectionTune{}, mine},
		{"a frame size below the protocol's", mine, wire.ConnectionTune{ChannelMax: 1, FrameMax: 1, Heartbeat: 65535}, Tuned{1, 4096, 10 * s}},
		{"a frame size just below it", mine, wire.ConnectionTune{FrameMax: 4095}, Tuned{2047, 4096, 10 * s}},
		{"the client wants no heartbeat", Tuned{2047, 131072, -1}, wire.ConnectionTune{Heartbeat: 60}, Tuned{2047, 131072, 0}},
		{"the server wants none", mine, wire.ConnectionTune{Heartbeat: 0}, mine},
	} {
		cfg := Config{ChannelMax: tt.client.ChannelMax, FrameMax: tt.client.FrameMax, Heartbeat: tt.client.Heartbeat}
		if got := negotiate(cfg, &tt.server); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// steps drives the handshake up to the named step, whose client message is read.
func steps(p *peer, upTo string) {
	p.header()
	if upTo == "start" {
		return
	}
	p.send(0, start())
	want[*wire.ConnectionStartOk](p, 0)
	if upTo == "auth" {
		return
	}
	p.send(0, tune())
	want[*wire.ConnectionTuneOk](p, 0)
	want[*wire.ConnectionOpen](p, 0)
}

var allSteps = []string{"start", "auth", "open"}

func TestHandshakeEndsWhenTheServerHangsUp(t *testing.T) {
	hints := map[string]string{"start": "no AMQP 0.9.1 server", "auth": "credentials", "open": "vhost"}
	for _, step := range allSteps {
		bubble(t, func(t *testing.T) {
			p, nc := newPeer(t)
			dial := async(func() (*Conn, error) { return Open(bg, nc, Config{}) })
			steps(p, step)
			_ = p.nc.Close()
			err := mustAs[*DialError](t, dial.fail(t))
			if err.Step != step || !errors.Is(err, io.EOF) || !strings.Contains(err.Hint, hints[step]) {
				t.Errorf("%s: %v", step, err)
			}
			if errors.Is(err, ErrAuth) {
				t.Errorf("%s: a lost connection is taken for wrong credentials", step)
			}
		})
	}
}

func TestHandshakeEndsOnReset(t *testing.T) {
	for _, step := range allSteps {
		bubble(t, func(t *testing.T) {
			p, nc := newPeer(t)
			dial := async(func() (*Conn, error) { return Open(bg, nc, Config{}) })
			steps(p, step)
			p.nc.Reset()
			err := mustAs[*DialError](t, dial.fail(t))
			if err.Step != step || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: %v", step, err)
			}
		})
	}
}

func TestHandshakeTimesOutAtEveryStep(t *testing.T) {
	for _, step := range allSteps {
		bubble(t, func(t *testing.T) {
			p, nc := newPeer(t)
			begin := time.Now()
			dial := async(func() (*Conn, error) { return Open(bg, nc, Config{HandshakeTimeout: 3 * time.Second}) })
			steps(p, step)
			err := mustAs[*DialError](t, dial.fail(t))
			if err.Step != step || !errors.Is(err, ErrTimeout) || time.Since(begin) != 3*time.Second {
				t.Errorf("%s: %v after %s", step, err, time.Since(begin))
			}
			p.hangsUp()
		})
	}
}

func TestHandshakeEndsWithItsContext(t *testing.T) {
	for _, step := range allSteps {
		bubble(t, func(t *testing.T) {
			p, nc := newPeer(t)
			ctx, cancel := context.WithCancel(bg)
			dial := async(func() (*Conn, error) { return Open(ctx, nc, Config{}) })
			steps(p, step)
			cancel()
			mustIs(t, dial.fail(t), context.Canceled)
			p.hangsUp()
		})
	}
}

func TestHandshakeReportsTheServersClose(t *testing.T) {
	for _, tt := range []struct {
		step string
		code Code
		auth bool
	}{
		{"start", ErrConnectionForced, false},
		{"auth", ErrAccessRefused, true},
		{"auth", ErrInternal, false},
		{"open", ErrNotAllowed, false},
		{"open", ErrAccessRefused, false}, // of the vhost, not of the password
		{"open", ErrInvalidPath, false},
	} {
		bubble(t, func(t *testing.T) {
			p, nc := newPeer(t)
			dial := async(func() (*Conn, error) { return Open(bg, nc, Config{}) })
			steps(p, tt.step)
			p.send(0, &wire.ConnectionClose{ReplyCode: uint16(tt.code), ReplyText: "no", ClassID: 10, MethodID: 40})
			want[*wire.ConnectionCloseOk](p, 0)
			err := dial.fail(t)
			mustIs(t, err, tt.code)
			e := mustAs[*Error](t, err)
			if !e.Server || e.Scope != ScopeConnection || e.Method != "connection.open" || errors.Is(err, ErrAuth) != tt.auth {
				t.Errorf("%s %d: %+v, %v", tt.step, tt.code, e, err)
			}
			p.hangsUp()
		})
	}
}

func TestHandshakeRefusesWhatComesOutOfOrder(t *testing.T) {
	openOk := &wire.ConnectionOpenOk{}
	for _, tt := range []struct {
		step string
		m    wire.Method
	}{
		{"start", tune()}, {"start", openOk}, {"start", &wire.ConnectionSecure{}},
		{"auth", start()}, {"auth", openOk},
		{"open", tune()}, {"open", start()}, {"open", &wire.ConnectionBlocked{}},
	} {
		bubble(t, func(t *testing.T) {
			p, nc := newPeer(t)
			dial := async(func() (*Conn, error) { return Open(bg, nc, Config{}) })
			steps(p, tt.step)
			p.send(0, tt.m)
			err := dial.fail(t)
			if e := mustAs[*Error](t, err); e.Code != ErrCommandInvalid || e.Server {
				t.Errorf("%s in step %s: %v", tt.m.ID(), tt.step, err)
			}
			p.hangsUp()
		})
	}
}

func TestHandshakeReadsTheServersVersion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, nc := newPeer(t)
		dial := async(func() (*Conn, error) { return Open(bg, nc, Config{}) })
		p.header()
		p.raw([]byte("AMQP\x00\x01\x00\x00"))
		e := mustAs[*wire.ProtocolHeaderError](t, dial.fail(t))
		if e.Major != 1 {
			t.Errorf("version %+v", e)
		}
	})
}

func TestChallengesAreAnsweredAndBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, nc := newPeer(t)
		cfg := Config{Credentials: Login("u", "p"), Mechanisms: []Mechanism{CRAMMD5()}}
		dial := async(func() (*Conn, error) { return Open(bg, nc, cfg) })
		p.header()
		s := start()
		s.Mechanisms = "PLAIN CRAM-MD5"
		p.send(0, s)
		if ok := want[*wire.ConnectionStartOk](p, 0); ok.Mechanism != "CRAM-MD5" || string(ok.Response) != "" {
			t.Errorf("start-ok %s %q", ok.Mechanism, []byte(ok.Response))
		}
		for range maxSecureRounds {
			p.send(0, &wire.ConnectionSecure{Challenge: []byte("Please tell me your password")})
			if ok := want[*wire.ConnectionSecureOk](p, 0); !strings.HasPrefix(string(ok.Response), "u ") {
				t.Errorf("secure-ok %q", []byte(ok.Response))
			}
		}
		p.send(0, &wire.ConnectionSecure{})
		if err := dial.fail(t); err == nil || !strings.Contains(err.Error(), "more than 8 challenges") {
			t.Errorf("challenge without end: %v", err)
		}
		p.hangsUp()
	})
}

func TestNoCommonMechanism(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, nc := newPeer(t)
		dial := async(func() (*Conn, error) { return Open(bg, nc, Config{}) })
		p.header()
		s := start()
		s.Mechanisms = "ANONYMOUS CRAM-MD5"
		p.send(0, s)
		err := dial.fail(t)
		mustIs(t, err, ErrNoMechanism)
		for _, name := range []string{"ANONYMOUS", "CRAM-MD5", "PLAIN"} {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%v does not name %s", err, name)
			}
		}
		p.hangsUp()
	})
}

// The credentials are asked for at each dial, with the dial's context.
func TestCredentialsAreAskedAtEachDial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		asked := 0
		cfg := Config{Credentials: func(context.Context, bool) (Credentials, error) {
			asked++
			return Credentials{}, errors.New("vault sealed")
		}}
		for range 2 {
			p, nc := newPeer(t)
			dial := async(func() (*Conn, error) { return Open(bg, nc, cfg) })
			p.header()
			p.send(0, start())
			if err := mustAs[*DialError](t, dial.fail(t)); err.Step != "auth" || !strings.Contains(err.Error(), "vault sealed") {
				t.Errorf("%v", err)
			}
		}
		if asked != 2 {
			t.Errorf("asked %d times", asked)
		}
	})
}

func TestDialReportsTheSocketsError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var network memnet.Network
		_, err := Dial(bg, Config{Addr: "h:1", DialContext: network.DialContext})
		mustIs(t, err, syscall.ECONNREFUSED)
		if e := mustAs[*DialError](t, err); e.Step != "dial" || e.Addr != "h:1" {
			t.Errorf("%+v", e)
		}
		mustAs[*net.OpError](t, err)

		l, _ := network.Listen("h:1")
		l.Hang(true)
		begin := time.Now()
		_, err = Dial(bg, Config{Addr: "h:1", DialContext: network.DialContext, HandshakeTimeout: time.Second})
		mustIs(t, err, ErrTimeout)
		if time.Since(begin) != time.Second {
			t.Errorf("hung for %s", time.Since(begin))
		}
	})
}

func TestClientPropertiesTooLargeForTheServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, nc := newPeer(t)
		cfg := Config{Properties: wire.Table{"big": strings.Repeat("x", 9000)}}
		dial := async(func() (*Conn, error) { return Open(bg, nc, cfg) })
		p.header()
		p.send(0, start())
		if err := dial.fail(t); err == nil || !strings.Contains(err.Error(), "larger than") {
			t.Errorf("%v", err)
		}
		p.hangsUp()
	})
}

// A deadline hides no reason: what the network said at the end of it is there too.
func TestDialTimeoutKeepsTheNetworksError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := Config{Addr: "h:1", HandshakeTimeout: time.Second, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}
		}}
		_, err := Dial(bg, cfg)
		mustIs(t, err, ErrTimeout)
		mustIs(t, err, syscall.EHOSTUNREACH)
		mustAs[*net.OpError](t, err)
		ctx, cancel := context.WithCancelCause(bg)
		cancel(errors.New("going home"))
		_, err = Dial(ctx, cfg)
		mustIs(t, err, context.Cause(ctx))
		mustIs(t, err, syscall.EHOSTUNREACH)
	})
}
