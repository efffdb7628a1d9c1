package brokertest

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync/atomic"

	"github.com/warren-mq/warren/internal/pki"
)

// WithTLS has the broker serve TLS by this configuration, with certificates of choice, or so that clients
// need one. It is not to be changed afterwards. Default: see [Broker.TLSURL].
func WithTLS(c *tls.Config) Option {
	return func(cfg *config) { cfg.tls = c }
}

// TLSURL is [Broker.URL] for TLS: amqps, on the same port, which takes whatever a client begins with, as
// [Broker.DialContext] does. Without [WithTLS] the certificate is made when it is first needed, for localhost
// and the addresses of the loopback interface, and nothing trusts it but [Broker.CertPool].
func (b *Broker) TLSURL() string {
	return "amqps://guest:guest@" + b.Addr() + "/"
}

// CertPool returns what trusts the certificate that the broker has made, for the RootCAs of a client's
// [tls.Config]; with [WithTLS] it trusts nothing. It panics if no certificate can be made.
func (b *Broker) CertPool() *x509.CertPool {
	pool := x509.NewCertPool()
	if b.config.tls == nil {
		pool.AddCert(b.serverTLS().Certificates[0].Leaf)
	}
	return pool
}

// serverTLS returns the configuration to serve TLS by.
func (b *Broker) serverTLS() *tls.Config {
	if b.config.tls != nil {
		return b.config.tls
	}
	b.making.Do(func() {
		pair, err := pki.SelfSigned("brokertest", "localhost", "127.0.0.1", "::1")
		var cert tls.Certificate
		if err == nil {
			cert, err = tls.X509KeyPair(pair.Cert, pair.Key)
		}
		if err != nil {
			panic("brokertest: no certificate: " + err.Error())
		}
		b.made = &tls.Config{Certificates: []tls.Certificate{cert}}
	})
	return b.made
}

// tlsHandshake is the first octet of what a TLS client sends, and of nothing that an AMQP client does.
const tlsHandshake = 0x16

// socket is a client's socket, in plain text or by TLS, as the client begins.
type socket struct {
	net.Conn
	b       *Broker
	begun   bool                     // the reader's
	secured atomic.Pointer[tls.Conn] // nil: in plain text, or not begun
}

// Read is called by one goroutine.
func (s *socket) Read(p []byte) (int, error) {
	if !s.begun {
		return s.begin(p)
	}
	if t := s.secured.Load(); t != nil {
		return t.Read(p)
	}
	return s.Conn.Read(p)
}

// begin looks at the first octet.
func (s *socket) begin(p []byte) (int, error) {
	n, err := s.Conn.Read(p[:1])
	if n == 0 || p[0] != tlsHandshake {
		s.begun = n > 0
		return n, err
	}
	s.begun = true
	s.secured.Store(tls.Server(&unread{Conn: s.Conn, first: true}, s.b.serverTLS()))
	return s.Read(p)
}

func (s *socket) Write(p []byte) (int, error) {
	if t := s.secured.Load(); t != nil {
		return t.Write(p)
	}
	return s.Conn.Write(p)
}

func (s *socket) Close() error {
	if t := s.secured.Load(); t != nil {
		return t.Close()
	}
	return s.Conn.Close()
}

// unread gives back the octet that was looked at.
type unread struct {
	net.Conn
	first bool
}

func (u *unread) Read(p []byte) (int, error) {
	if !u.first || len(p) == 0 {
		return u.Conn.Read(p)
	}
	u.first = false
	p[0] = tlsHandshake
	return 1, nil
}
