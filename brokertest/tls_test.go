package brokertest

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/pki"
)

// hello begins the AMQP handshake on a connection and returns what the broker answers first.
func hello(t *testing.T, nc net.Conn) wire.Method {
	t.Helper()
	if _, err := nc.Write([]byte(wire.ProtocolHeader)); err != nil {
		t.Fatal(err)
	}
	c := newRawClient(nc)
	defer c.close()
	for {
		got, changed := c.take()
		if len(got) > 0 {
			return got[0].method
		}
		<-changed
	}
}

func TestTLSAndPlainTextOnOnePort(t *testing.T) {
	b := New(t)
	secured, err := tls.Dial("tcp", b.Addr(), &tls.Config{RootCAs: b.CertPool()})
	if err != nil {
		t.Fatal(err)
	}
	if m := hello(t, secured); m == nil || m.ID() != wire.MethodConnectionStart {
		t.Errorf("by TLS: %v", m)
	}
	plain, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if m := hello(t, plain); m == nil || m.ID() != wire.MethodConnectionStart {
		t.Errorf("in plain text: %v", m)
	}
	if _, err := tls.Dial("tcp", b.Addr(), &tls.Config{ServerName: "localhost"}); err == nil {
		t.Error("a client that does not know the certificate trusts it")
	}
}

func TestTLSInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(t)
		nc, err := b.DialContext(t.Context(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		secured := tls.Client(nc, &tls.Config{RootCAs: b.CertPool(), ServerName: "localhost"})
		if m := hello(t, secured); m == nil || m.ID() != wire.MethodConnectionStart {
			t.Errorf("%v", m)
		}
	})
}

func TestCutByTLS(t *testing.T) {
	b := New(t)
	b.OnConnect(func(l *Link) { l.CutAfterSending(100) })
	nc, err := tls.Dial("tcp", b.Addr(), &tls.Config{RootCAs: b.CertPool()})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write([]byte(wire.ProtocolHeader)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, nc); n > 100 || err == nil {
		t.Errorf("%d octets came before the cut, %v", n, err)
	}
}

func TestClientCertificates(t *testing.T) {
	authority := pki.NewAuthority(t, "test")
	b := New(t, WithTLS(&tls.Config{
		Certificates: []tls.Certificate{authority.Issue(t, "broker", "127.0.0.1").TLS(t)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: authority.Pool(),
	}))
	config := &tls.Config{RootCAs: authority.Pool()}
	if nc, err := tls.Dial("tcp", b.Addr(), config); err == nil {
		if m := hello(t, nc); m != nil {
			t.Errorf("without a certificate: %v", m.ID())
		}
	}
	config.Certificates = []tls.Certificate{authority.Issue(t, "client").TLS(t)}
	nc, err := tls.Dial("tcp", b.Addr(), config)
	if err != nil {
		t.Fatal(err)
	}
	if m := hello(t, nc); m == nil || m.ID() != wire.MethodConnectionStart {
		t.Errorf("with a certificate: %v", m)
	}
}
