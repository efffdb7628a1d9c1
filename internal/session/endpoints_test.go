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

	"github.com/warren-mq/warren/internal/session/sessiontest"

	"github.com/warren-mq/warren/recovery"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/memnet"
)

func configs(addrs string) []core.Config {
	var list []core.Config
	for addr := range strings.FieldsSeq(addrs) {
		list = append(list, core.Config{Addr: addr})
	}
	return list
}

func addrs(list []core.Config) string {
	var all []string
	for _, e := range list {
		all = append(all, e.Addr)
	}
	return strings.Join(all, " ")
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

func TestShuffledDrawsAnew(t *testing.T) {
	all := configs("a b c d e f g h")
	r := recovery.Shuffled(recovery.Endpoints(all...))
	orders := map[string]bool{}
	for range 50 {
		list, err := r(t.Context())
		if err != nil || len(list) != len(all) {
			t.Fatalf("%v, %v", list, err)
		}
		orders[addrs(list)] = true
	}
	if len(orders) < 40 {
		t.Errorf("%d different orders of 50", len(orders))
	}
	if addrs(all) != "a b c d e f g h" {
		t.Error("the caller's list was changed")
	}
}

// dns answers from maps.
type dns struct {
	hosts map[string][]string
	srv   map[string][]*net.SRV
}

func (d dns) LookupHost(_ context.Context, host string) ([]string, error) {
	if addrs, ok := d.hosts[host]; ok {
		return addrs, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (d dns) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if records, ok := d.srv["_"+service+"._"+proto+"."+name]; ok {
		return name, records, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func TestEachAddressLooksUpAtEachAttempt(t *testing.T) {
	names := dns{hosts: map[string][]string{"rabbit": {"10.0.0.1", "10.0.0.2"}}}
	secure := core.Config{Addr: "rabbit:5671", TLS: core.TLSFiles{}.Load}
	r := recovery.EachAddress(recovery.Endpoints(secure, core.Config{Addr: "unknown:1"}, core.Config{Addr: "10.9.9.9:2"}), names)
	list, err := r(t.Context())
	if err != nil || addrs(list) != "10.0.0.1:5671 10.0.0.2:5671 unknown:1 10.9.9.9:2" {
		t.Fatalf("%s, %v", addrs(list), err)
	}
	if got, err := list[0].TLS(t.Context()); err != nil || got.ServerName != "rabbit" || list[2].TLS != nil {
		t.Errorf("server name %q, %v", got.ServerName, err)
	}
	names.hosts["rabbit"] = []string{"::1"}
	if list, _ = r(t.Context()); addrs(list[:1]) != "[::1]:5671" {
		t.Errorf("later: %s", addrs(list))
	}
}

func TestSRV(t *testing.T) {
	records := []*net.SRV{{Target: "one.example.", Port: 5672}, {Target: "two.example.", Port: 5673}}
	names := dns{srv: map[string][]*net.SRV{"_amqp._tcp.example": records, "_amqps._tcp.example": records[:1]}}
	list, err := recovery.SRV(names, "example", core.Config{VHost: "v"})(t.Context())
	if err != nil || addrs(list) != "one.example:5672 two.example:5673" || list[1].VHost != "v" {
		t.Errorf("%s, %v", addrs(list), err)
	}
	list, err = recovery.SRV(names, "example", core.Config{TLS: core.TLSFiles{}.Load})(t.Context())
	if err != nil || addrs(list) != "one.example:5672" {
		t.Errorf("with tls: %s, %v", addrs(list), err)
	}
	if _, err = recovery.SRV(names, "elsewhere", core.Config{})(t.Context()); err == nil {
		t.Error("no error for a name without records")
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

func TestResolversPassErrorsOn(t *testing.T) {
	failing := func(context.Context) ([]core.Config, error) { return nil, errors.ErrUnsupported }
	for _, r := range []recovery.Resolver{recovery.Shuffled(failing), recovery.EachAddress(failing, dns{})} {
		if _, err := r(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
	}
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
