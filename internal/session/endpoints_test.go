package session

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

func configs(addrs string) []core.Config {
	var list []core.Config
	for addr := range strings.FieldsSeq(addrs) {
		list = append(list, core.Config{Addr: addr})
	}
	return list
}

func TestRotation(t *testing.T) {
	tests := []struct {
		name  string
		lists []string // for each attempt
		want  string
	}{
		{"one", []string{"a", "a"}, "a a"},
		{"in order, and around", []string{"a b c", "a b c", "a b c", "a b c"}, "a b c a"},
		{"failed ones last, however the list is ordered", []string{"a b c", "b a c", "b a c", "b a c"}, "a b c a"},
		{"a new one first", []string{"a b", "a b", "a b c"}, "a b c"},
		{"what left and came back counts as new", []string{"a b", "b", "b a", "b a"}, "a b a b"},
		{"the same address twice is two places", []string{"a a b", "a a b", "a a b"}, "a a b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var r rotation
			var got []string
			for _, list := range test.lists {
				got = append(got, r.next(configs(list)).Addr)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %v; want %s", got, test.want)
			}
		})
	}
}

func TestRotationSettlesOnPreference(t *testing.T) {
	var r rotation
	list := configs("a b c")
	for range 3 {
		r.next(list) // a, b fail; c lasts
	}
	r.settle()
	var got []string
	for range 3 {
		got = append(got, r.next(list).Addr)
	}
	if strings.Join(got, " ") != "a b c" { // c, lost just now, comes last
		t.Errorf("got %v; want a b c", got)
	}
}

// Renewed certificates are taken up by the next attempt.
func TestTLSIsAskedForAtEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		var asked atomic.Int64
		endpoint := a.Endpoint()
		endpoint.TLS = func(context.Context) (*tls.Config, error) {
			asked.Add(1)
			return nil, errors.ErrUnsupported
		}
		c, j := start(t, Config{Config: recovery.Config{InitialPasses: 3}}, endpoint)
		if err := c.Connect(t.Context()); !errors.Is(err, errors.ErrUnsupported) || asked.Load() != 3 || len(j.Times()) != 0 {
			t.Errorf("asked %d times, dialled %d times without: %v", asked.Load(), len(j.Times()), err)
		}
	})
}

// A certificate is that of one endpoint: another one is tried at once, at first and after each loss.
func TestACertificateIsOfOneEndpoint(t *testing.T) {
	untrusted := core.Config{Addr: "a:1", DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	}}
	synctest.Test(t, func(t *testing.T) {
		b := sessiontest.NewServer(t, &memnet.Network{}, "b:1")
		c, _ := connected(t, Config{}, untrusted, b.Endpoint())
		for epoch := range uint64(5) {
			time.Sleep(time.Hour)
			begun := time.Now()
			b.Drop()
			awaitEpoch(t, c, epoch+2)
			if took := time.Since(begun); took > 0 {
				t.Errorf("connected again after %v", took)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, j := start(t, Config{}, untrusted, untrusted)
		if err := c.Connect(t.Context()); !isCertificate(err) {
			t.Errorf("connected to nobody: %v", err)
		}
		if n := len(j.Of(recovery.EventRetrying)); n != 1 {
			t.Errorf("%d retries, want one for the other endpoint", n)
		}
	})
}
