package recovery

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/warren-mq/warren/core"
)

// Resolver returns the endpoints to try, most preferred first. It is called at
// each attempt, so that names, credentials and certificates are read again. It
// must return when ctx ends, after ten seconds; it is not waited for much longer.
type Resolver func(ctx context.Context) ([]core.Config, error)

// Endpoints is a resolver of a fixed list.
func Endpoints(list ...core.Config) Resolver {
	return func(context.Context) ([]core.Config, error) { return list, nil }
}

// Shuffled returns what r does in a random order, drawn at each attempt, so
// that many clients spread over a cluster.
func Shuffled(r Resolver) Resolver {
	return func(ctx context.Context) ([]core.Config, error) {
		list, err := r(ctx)
		list = slices.Clone(list)
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return list, err
	}
}

// Lookup resolves names; [net.DefaultResolver] is one.
type Lookup interface {
	LookupHost(ctx context.Context, host string) (addrs []string, err error)
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)
}

// EachAddress replaces each endpoint by one for every address that its host
// has at the time, so that a node that accepts and then fails does not hide
// the others behind the same name. TLS still verifies the name. A host that
// cannot be looked up is left as it is; dialling it tells why.
func EachAddress(r Resolver, dns Lookup) Resolver {
	return func(ctx context.Context) ([]core.Config, error) {
		list, err := r(ctx)
		if err != nil {
			return nil, err
		}
		var all []core.Config
		for _, e := range list {
			all = append(all, expand(ctx, e, dns)...)
		}
		return all, nil
	}
}

func expand(ctx context.Context, e core.Config, dns Lookup) []core.Config {
	host, port, err := net.SplitHostPort(e.Addr)
	if err != nil || net.ParseIP(host) != nil {
		return []core.Config{e}
	}
	addrs, err := dns.LookupHost(ctx, host)
	if err != nil || len(addrs) == 0 {
		return []core.Config{e}
	}
	e.TLS = e.TLS.ForHost(host)
	var all []core.Config
	for _, addr := range addrs {
		e.Addr = net.JoinHostPort(addr, port)
		all = append(all, e)
	}
	return all
}

// SRV returns an endpoint for each SRV record of _amqp._tcp.name, or
// _amqps._tcp.name where template has TLS, ordered by priority and, at random,
// by weight. template holds everything but the address.
func SRV(dns Lookup, name string, template core.Config) Resolver {
	service := "amqp"
	if template.TLS != nil {
		service = "amqps"
	}
	return func(ctx context.Context) ([]core.Config, error) {
		_, records, err := dns.LookupSRV(ctx, service, "tcp", name)
		if err != nil {
			return nil, err
		}
		var list []core.Config
		for _, r := range records { // net sorts them
			e := template
			e.Addr = net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port)))
			list = append(list, e)
		}
		return list, nil
	}
}
