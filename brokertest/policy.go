package brokertest

import (
	"regexp"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// Policy sets limits of queues and exchanges from the broker's side, as an operator does, see
// [Broker.SetPolicy].
type Policy struct {
	Name     string
	VHost    string // empty: "/"
	Pattern  string // a regular expression; names match that contain it
	ApplyTo  string // "queues", "exchanges" or "all"; empty: all
	Priority int    // of several policies that match, the one with the highest applies, alone
	// Definition has the keys expires, message-ttl, max-length, max-length-bytes, overflow,
	// dead-letter-exchange, dead-letter-routing-key, delivery-limit, consumer-timeout, max-age and
	// alternate-exchange. They mean what the arguments of declarations do. Where a client has set the argument
	// too, the lower of two numbers counts, and otherwise the client's value.
	Definition wire.Table
}

// SetPolicy adds a policy, or replaces the one of its name, with effect on what is there and on what will be
// declared. A message-ttl applies to messages published from then on. It panics if the virtual host, a key of
// the definition, or ApplyTo is unknown, or if the pattern is wrong.
func (b *Broker) SetPolicy(p Policy) {
	for key := range p.Definition {
		if !state.KnowsPolicyKey(key) {
			panic("brokertest: no such key of a policy: " + key)
		}
	}
	s := state.Policy{Name: p.Name, Pattern: regexp.MustCompile(p.Pattern), Priority: p.Priority, Definition: p.Definition.Clone()}
	switch p.ApplyTo {
	case "", "all":
		s.Queues, s.Exchanges = true, true
	case "queues":
		s.Queues = true
	case "exchanges":
		s.Exchanges = true
	default:
		panic("brokertest: a policy applies to queues, exchanges or all, not to " + p.ApplyTo)
	}
	b.changePolicies(p.VHost, func(v *state.VHost) { v.SetPolicy(s) })
}

// DeletePolicy removes a policy of a virtual host, if there is one of that name. It panics if the virtual
// host is unknown.
func (b *Broker) DeletePolicy(vhost, name string) {
	b.changePolicies(vhost, func(v *state.VHost) { v.DeletePolicy(name) })
}

func (b *Broker) changePolicies(vhost string, change func(*state.VHost)) {
	if vhost == "" {
		vhost = "/"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.vhosts[vhost]
	if v == nil {
		panic("brokertest: no virtual host " + vhost)
	}
	change(v)
	b.settle()
	b.wake()
}
