package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/errs"
)

func verify(t *testing.T, p Pair, a *Authority, host string) error {
	t.Helper()
	block, _ := pem.Decode(p.Cert)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: host})
	return err
}

func TestIssuedCertificates(t *testing.T) {
	ours, theirs := NewAuthority(t, "ours"), NewAuthority(t, "theirs")
	good := ours.Issue(t, "server", "rabbit.example", "127.0.0.1")
	for _, host := range []string{"rabbit.example", "127.0.0.1"} {
		if err := verify(t, good, ours, host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, wrong := errs.AsType[x509.HostnameError](verify(t, good, ours, "other.example")); !wrong {
		t.Error("good for another host")
	}
	if _, unknown := errs.AsType[x509.UnknownAuthorityError](verify(t, good, theirs, "")); !unknown {
		t.Error("good for another authority")
	}
	old := ours.IssueUntil(t, time.Now().Add(-time.Hour), "old", "rabbit.example")
	if e, invalid := errs.AsType[x509.CertificateInvalidError](verify(t, old, ours, "")); !invalid || e.Reason != x509.Expired {
		t.Error("not expired")
	}
}

func TestPairsAreWritten(t *testing.T) {
	a := NewAuthority(t, "a")
	first := a.Issue(t, "first")
	cert, key := first.Write(t)
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		t.Error(err)
	}
	a.Issue(t, "second").Replace(t, cert, key)
	loaded, err := tls.LoadX509KeyPair(cert, key)
	if err != nil || loaded.Leaf.Subject.CommonName != "second" {
		t.Errorf("%v, %v", loaded.Leaf.Subject, err)
	}
	first.TLS(t)
}
