// Package pki makes certificates for tests: authorities, and what they sign.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	Pair
	cert *x509.Certificate
	key  crypto.Signer
}

// Pair is a certificate and its private key, PEM encoded.
type Pair struct {
	Cert, Key []byte
}

// NewAuthority returns an authority of that name.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	a := &Authority{cert: template}
	a.Pair, a.key = sign(t, template, nil)
	return a
}

// Pool is what trusts this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.Cert)
	return pool
}

// Issue returns a certificate for that name, which is valid for a day, as a
// server of these hosts and as a client.
func (a *Authority) Issue(t testing.TB, name string, hosts ...string) Pair {
	t.Helper()
	return a.IssueUntil(t, time.Now().Add(24*time.Hour), name, hosts...)
}

// IssueUntil is Issue with an end, which may have passed.
func (a *Authority) IssueUntil(t testing.TB, end time.Time, name string, hosts ...string) Pair {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: end,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	serve(template, hosts)
	pair, _ := sign(t, template, a)
	return pair
}

// TLS returns the pair for a [tls.Config].
func (p Pair) TLS(t testing.TB) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Write writes the pair to files in a folder of the test, and returns their paths.
func (p Pair) Write(t testing.TB) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	p.Replace(t, cert, key)
	return cert, key
}

// Replace writes the pair to files that may be there.
func (p Pair) Replace(t testing.TB, cert, key string) {
	t.Helper()
	for path, content := range map[string][]byte{cert: p.Cert, key: p.Key} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// SelfSigned returns a certificate for a server of these hosts that is its own authority. It is for where
// there is no test.
func SelfSigned(name string, hosts ...string) (Pair, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore:   time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
	}
	serve(template, hosts)
	pair, _, err := create(template, nil)
	return pair, err
}

// serve makes template one of these hosts.
func serve(template *x509.Certificate, hosts []string) {
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
}

// sign is create for tests.
func sign(t testing.TB, template *x509.Certificate, parent *Authority) (Pair, crypto.Signer) {
	t.Helper()
	pair, key, err := create(template, parent)
	if err != nil {
		t.Fatal(err)
	}
	return pair, key
}

// create makes a key for template and signs it, by itself without a parent.
func create(template *x509.Certificate, parent *Authority) (Pair, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return Pair{}, nil, err
	}
	by, byKey := template, crypto.Signer(key)
	if parent != nil {
		by, byKey = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), byKey)
	if err != nil {
		return Pair{}, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, nil, err
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}, key, nil
}
