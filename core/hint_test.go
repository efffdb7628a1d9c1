package core

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
)

// Whatever else listens where AMQP 0.9.1 was looked for, the error says what it seems to be.
func TestDialNamesTheStranger(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	for name, tt := range map[string]struct {
		addr, want string
		cfg        Config
	}{
		"HTTP":            {answering(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), "an HTTP server answers", Config{}},
		"HTTP, by TLS":    {strings.TrimPrefix(web.URL, "http://"), "does not seem to speak TLS", Config{TLS: TLSFiles{}.Load}},
		"TLS":             {answering(t, "\x15\x03\x03\x00\x02\x02\x0a"), "use amqps", Config{}},
		"AMQP 1.0":        {answering(t, "AMQP\x00\x01\x00\x00"), "offers protocol 0, version 1.0.0", Config{}},
		"AMQP 1.0, SASL":  {answering(t, "AMQP\x03\x01\x00\x00"), "offers protocol 3, version 1.0.0", Config{}},
		"it hangs up":     {answering(t, ""), "no AMQP 0.9.1 server", Config{}},
		"something else":  {answering(t, "SSH-2.0-OpenSSH_9.6\r\n"), "no AMQP 0.9.1 server", Config{}},
		"it says nothing": {silent(t), "nothing was answered", Config{HandshakeTimeout: 100 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := tt.cfg
			cfg.Addr = tt.addr
			_, err := Dial(bg, cfg)
			if e, ok := errs.AsType[*DialError](err); !ok || !strings.Contains(e.Hint, tt.want) || !strings.Contains(e.Error(), e.Hint) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "tls: tls:") {
				t.Errorf("stutters: %v", err)
			}
		})
	}
}

// Who says nothing is known by the port.
func TestDialKnowsUsualPorts(t *testing.T) {
	for port, want := range map[string]string{"15672": "management", "5552": "stream", "5671": "amqps", "1883": "MQTT"} {
		_, err := Dial(bg, Config{Addr: "broker:" + port, DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() { _, _ = io.ReadFull(server, make([]byte, len(wire.ProtocolHeader))); _ = server.Close() }()
			return client, nil
		}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("port %s: %v", port, err)
		}
	}
}

// A guest that is refused learns why that usually is.
func TestRefusedGuestLearnsOfLoopbackUsers(t *testing.T) {
	for user, want := range map[string]bool{"guest": true, "orders": false} {
		h := &handshake{step: "auth", username: user}
		if got := strings.Contains(h.hint(because(ErrAuth, ErrAccessRefused), nil), "loopback_users"); got != want {
			t.Errorf("%s: %t", user, got)
		}
	}
}

// answering returns the address of a server that answers the first octets with this, and hangs up.
func answering(t *testing.T, answer string) string {
	return serve(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, len(wire.ProtocolHeader)))
		_, _ = io.WriteString(c, answer)
		_ = c.Close()
	})
}

// silent returns the address of a server that says nothing.
func silent(t *testing.T) string {
	return serve(t, func(c net.Conn) { t.Cleanup(func() { _ = c.Close() }) })
}

func serve(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	noErr(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		if c, err := l.Accept(); err == nil {
			f(c)
		}
	}()
	return l.Addr().String()
}
