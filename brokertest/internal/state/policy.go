package state

import (
	"cmp"
	"regexp"
	"slices"

	"github.com/warren-mq/warren/core/wire"
)

// Policy sets arguments of queues and exchanges from the broker's side.
type Policy struct {
	Name       string
	Pattern    *regexp.Regexp
	Queues     bool // applies to these
	Exchanges  bool // likewise
	Priority   int
	Definition wire.Table // keys without x-
}

// policyArguments are what a policy may set, with the argument that says the same.
var policyArguments = map[string]string{
	"expires": argExpires, "message-ttl": argMessageTTL, "max-length": argMaxLength, "max-length-bytes": argMaxLengthBytes,
	"overflow": argOverflow, "dead-letter-exchange": argDeadLetter, "dead-letter-routing-key": argDeadLetterKey,
	"delivery-limit": argDeliveryLimit, "consumer-timeout": argConsumerTimeout, "max-age": argMaxAge,
	alternateExchange: alternateExchange,
}

// KnowsPolicyKey reports whether a policy may set it.
func KnowsPolicyKey(key string) bool { return policyArguments[key] != "" }

// SetPolicy adds a policy, or replaces the one of its name.
func (v *VHost) SetPolicy(p Policy) {
	v.DeletePolicy(p.Name)
	v.policies = append(v.policies, p)
	slices.SortStableFunc(v.policies, func(a, b Policy) int { return cmp.Compare(b.Priority, a.Priority) })
	v.govern()
}

// DeletePolicy removes a policy, if there is one of that name.
func (v *VHost) DeletePolicy(name string) {
	v.policies = slices.DeleteFunc(v.policies, func(p Policy) bool { return p.Name == name })
	v.govern()
}

// govern has all queues and exchanges follow the policies.
func (v *VHost) govern() {
	for _, q := range v.Queues() {
		q.limits = v.newLimits(v.governed(q.Name, q.Arguments, ofQueues), q.Kind)
		if q.expires >= 0 {
			q.lastUsed = v.Now()
		}
		v.touch(q)
	}
	for _, x := range v.exchanges {
		x.alt, _ = v.governed(x.Name, x.Arguments, ofExchanges)[alternateExchange].(string)
	}
}

func ofQueues(p *Policy) bool    { return p.Queues }
func ofExchanges(p *Policy) bool { return p.Exchanges }

// governed returns the arguments as the one policy that applies changes them: of two numbers the lower one
// counts, otherwise what the client has said, but for some that [policyWins] knows.
func (v *VHost) governed(name string, args wire.Table, applies func(*Policy) bool) wire.Table {
	for i := range v.policies {
		p := &v.policies[i]
		if !applies(p) || !p.Pattern.MatchString(name) {
			continue
		}
		if args = args.Clone(); args == nil {
			args = wire.Table{}
		}
		for key, value := range p.Definition {
			key = policyArguments[key]
			if said, ok := args[key]; !ok || policyWins(key, args[argQueueType], said, value) {
				args[key] = value
			}
		}
		return args
	}
	return args
}

// policyWins reports whether the policy's value counts, and not what the client has said.
func policyWins(key string, kind, said, policy any) bool {
	if kind == kindStream || kind == kindQuorum && key == argOverflow {
		return true
	}
	a, number := integer(said)
	b, numbers := integer(policy)
	if key == argDeliveryLimit && (a < 0 || b < 0) { // negative: no limit
		return number && numbers && b > a
	}
	return number && numbers && b < a
}
