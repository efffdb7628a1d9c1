package recovery

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core"
)

func TestShuffledDrawsAnew(t *testing.T) {
	all := configs("a b c d e f g h")
	r := Shuffled(Endpoints(all...))
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
	r := EachAddress(Endpoints(secure, core.Config{Addr: "unknown:1"}, core.Config{Addr: "10.9.9.9:2"}), names)
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
	list, err := SRV(names, "example", core.Config{VHost: "v"})(t.Context())
	if err != nil || addrs(list) != "one.example:5672 two.example:5673" || list[1].VHost != "v" {
		t.Errorf("%s, %v", addrs(list), err)
	}
	list, err = SRV(names, "example", core.Config{TLS: core.TLSFiles{}.Load})(t.Context())
	if err != nil || addrs(list) != "one.example:5672" {
		t.Errorf("with tls: %s, %v", addrs(list), err)
	}
	if _, err = SRV(names, "elsewhere", core.Config{})(t.Context()); err == nil {
		t.Error("no error for a name without records")
	}
}

func TestResolversPassErrorsOn(t *testing.T) {
	failing := func(context.Context) ([]core.Config, error) { return nil, errors.ErrUnsupported }
	for _, r := range []Resolver{Shuffled(failing), EachAddress(failing, dns{})} {
		if _, err := r(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
	}
}

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
