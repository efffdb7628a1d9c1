package core

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/warren-mq/warren/internal/errs"
)

// TLSSource gives the TLS configuration for one dial, never nil without an
// error. It is asked again at each, so that renewed certificates are taken up;
// connections that are open keep theirs. What it returns is cloned, and may be
// shared. The server name defaults to the host that is dialled, the minimum
// version to TLS 1.2. A source may be called by several goroutines at once, and
// must return when ctx ends.
//
// [TLSFiles] reads files, [FixedTLS] is for what never changes.
type TLSSource func(ctx context.Context) (*tls.Config, error)

// FixedTLS is the source of a configuration that never changes, but for what its
// own functions, such as GetClientCertificate, return. Nil is no source.
func FixedTLS(t *tls.Config) TLSSource {
	if t == nil {
		return nil
	}
	return func(context.Context) (*tls.Config, error) { return t, nil }
}

// ForHost is the same source with host, where no server name is given, for SNI
// and verification: for an address that is not the name in the certificate.
func (s TLSSource) ForHost(host string) TLSSource {
	if s == nil {
		return nil
	}
	return func(ctx context.Context) (*tls.Config, error) {
		t, err := s(ctx)
		if err != nil || t == nil || t.ServerName != "" {
			return t, err
		}
		t = t.Clone()
		t.ServerName = host
		return t, nil
	}
}

// load returns the configuration for a dial, nil without TLS.
func (s TLSSource) load(ctx context.Context) (*tls.Config, error) {
	if s == nil {
		return nil, nil
	}
	t, err := s(ctx)
	if err == nil && t == nil {
		err = errors.New("the source of the TLS configuration returned nil; without TLS leave it unset")
	}
	return t, err
}

// TLSFiles names PEM files for a TLS connection. They are read again at each
// dial, so that renewed certificates are taken up:
//
//	cfg.TLS = core.TLSFiles{CA: "ca.pem", Cert: "client.pem", Key: "client.key"}.Load
type TLSFiles struct {
	CA         string // certificate authorities to trust; empty: the system's
	Cert       string // client certificate with its chain; empty: none
	Key        string // its private key
	ServerName string // for SNI and verification; empty: the host that is dialled
}

// Load reads the files. It is a [TLSSource]. Errors name the file at fault.
func (f TLSFiles) Load(context.Context) (*tls.Config, error) {
	t := &tls.Config{ServerName: f.ServerName, MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		list, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(list) {
			return nil, fmt.Errorf("certificate authorities: no PEM certificate in %s", f.CA)
		}
	}
	if f.Cert == "" && f.Key == "" {
		return t, nil
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		if isEncrypted(f.Key) {
			err = errEncryptedKey
		}
		return nil, fmt.Errorf("client certificate %q, key %q: %w", f.Cert, f.Key, err)
	}
	t.Certificates = []tls.Certificate{pair}
	return t, nil
}

var errEncryptedKey = errors.New("the private key is encrypted, which is not supported: decrypt it, " +
	"for example with openssl pkey, or set TLS to a function that does")

// isEncrypted reports whether a PEM file holds a private key behind a password:
// PKCS #8, or the older form of OpenSSL.
func isEncrypted(file string) bool {
	data, err := os.ReadFile(file)
	for block, rest := pem.Decode(data); err == nil && block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
	}
	return false
}

// startTLS wraps nc. The caller's configuration is cloned, verification is
// against the host that was dialled, and there is no fallback to plain text.
func startTLS(ctx context.Context, nc net.Conn, cfg Config, t *tls.Config) (net.Conn, error) {
	t = t.Clone()
	if t.ServerName == "" {
		t.ServerName, _, _ = net.SplitHostPort(cfg.Addr) // checked by validate
	}
	if t.MinVersion == 0 {
		t.MinVersion = tls.VersionTLS12
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.TLSTimeout, ErrTimeout)
	defer cancel()
	tc := tls.Client(nc, t)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, causeOf(ctx, err)
	}
	return tc, nil
}

func tlsHint(err error) string {
	if _, ok := errs.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, io.EOF) {
		return "the server does not seem to speak TLS on this port; the TLS port is usually 5671"
	}
	return ""
}

// onThisHost reports whether addr is a loopback address.
func onThisHost(addr string) bool {
	host, _, _ := net.SplitHostPort(addr) // checked by validate
	ip := net.ParseIP(host)
	return host == "localhost" || ip.IsLoopback()
}
