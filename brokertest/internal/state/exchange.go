package state

import (
	"slices"
	"strings"

	"github.com/warren-mq/warren/core/wire"
)

// Types of exchanges.
const (
	Direct  = "direct"
	Fanout  = "fanout"
	Topic   = "topic"
	Headers = "headers"
	Delayed = "x-delayed-message" // of a plugin
)

const alternateExchange = "alternate-exchange"

// ExchangeSpec is what a client says of an exchange.
type ExchangeSpec struct {
	Name                          string
	Type                          string
	Durable, AutoDelete, Internal bool
	Arguments                     wire.Table
}

// Exchange routes messages along its bindings.
type Exchange struct {
	ExchangeSpec
	vhost    *VHost
	serial   uint64
	kind     string                 // how it routes: its type, or what a delayed one has underneath
	alt      string                 // name of the alternate exchange
	bindings []*Binding             // from here, in the order of their making
	byID     map[bindingID]*Binding // the same
	byKey    map[string][]*Binding  // the same
	inbound  []*Binding             // from other exchanges to here
	deleted  bool
}

func newExchange(v *VHost, spec ExchangeSpec) *Exchange {
	alt, _ := v.governed(spec.Name, spec.Arguments, ofExchanges)[alternateExchange].(string)
	kind := spec.Type
	if kind == Delayed {
		kind, _ = spec.Arguments[delayedType].(string)
	}
	return &Exchange{ExchangeSpec: spec, vhost: v, serial: v.serial(), kind: kind, alt: alt,
		byID: map[bindingID]*Binding{}, byKey: map[string][]*Binding{}}
}

// Exchange returns the exchange with the name.
func (v *VHost) Exchange(name string) (*Exchange, *Refusal) {
	if x := v.exchanges[name]; x != nil {
		return x, nil
	}
	return nil, v.notFound("exchange", name)
}

// Exchanges returns all exchanges in the order of their making.
func (v *VHost) Exchanges() []*Exchange {
	var all []*Exchange
	for _, x := range v.exchanges {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b *Exchange) int { return int(a.serial) - int(b.serial) })
	return all
}

// DeclareExchange creates an exchange, or checks that the one there is as described.
func (v *VHost) DeclareExchange(spec ExchangeSpec) *Refusal {
	if r := firstRefusal(v.CheckExchangeType(spec.Type), NotDefault(spec.Name)); r != nil {
		return r
	}
	if x := v.exchanges[spec.Name]; x != nil {
		return x.equivalent(spec)
	}
	if strings.HasPrefix(spec.Name, "amq.") {
		return reserved("exchange", spec.Name)
	}
	if r := firstRefusal(v.checkExchangeName(spec.Arguments, alternateExchange, v.resource("exchange", spec.Name)), v.checkDelayed(spec)); r != nil {
		return r
	}
	v.exchanges[spec.Name] = newExchange(v, spec)
	return nil
}

// equivalent compares field by field, in RabbitMQ's order.
func (x *Exchange) equivalent(spec ExchangeSpec) *Refusal {
	what := x.vhost.resource("exchange", x.Name)
	return firstRefusal(
		sameField("type", spec.Type, x.Type, what),
		sameField("durable", spec.Durable, x.Durable, what),
		sameField("auto_delete", spec.AutoDelete, x.AutoDelete, what),
		sameField("internal", spec.Internal, x.Internal, what),
		sameArgument(alternateExchange, spec.Arguments, x.Arguments, what))
}

// DeleteExchange deletes an exchange and its bindings. One that is not there counts as deleted.
func (v *VHost) DeleteExchange(name string, ifUnused bool) *Refusal {
	if r := firstRefusal(NotDefault(name), v.NotSystem(name)); r != nil {
		return r
	}
	x := v.exchanges[name]
	if x == nil {
		return nil
	}
	if ifUnused && len(x.bindings) > 0 {
		return Refuse(PreconditionFailed, "%s in use", v.resource("exchange", name))
	}
	x.delete()
	return nil
}

func (x *Exchange) delete() {
	x.deleted = true
	delete(x.vhost.exchanges, x.Name)
	for _, b := range slices.Clone(x.bindings) {
		b.remove()
	}
	for _, b := range slices.Clone(x.inbound) {
		b.remove()
	}
}

// CheckExchangeType refuses a type that does not exist.
func (v *VHost) CheckExchangeType(kind string) *Refusal {
	switch kind {
	case Direct, Fanout, Topic, Headers:
		return nil
	case Delayed:
		if v.Delays {
			return nil
		}
	}
	if v.Before40 {
		return Refuse(CommandInvalid, "invalid exchange type '%s'", kind)
	}
	return Refuse(PreconditionFailed, "invalid exchange type '%s'", kind)
}

// HasExchange reports whether there is an exchange with the name.
func (v *VHost) HasExchange(name string) bool { return v.exchanges[name] != nil }

// NotDefault refuses what cannot be done to the default exchange.
func NotDefault(name string) *Refusal {
	if name == "" {
		return Refuse(AccessRefused, "operation not permitted on the default exchange")
	}
	return nil
}

// NotSystem refuses to delete what the broker has made.
func (v *VHost) NotSystem(name string) *Refusal {
	if strings.HasPrefix(name, "amq.") {
		return Refuse(AccessRefused, "deletion of system %s not allowed", v.resource("exchange", name))
	}
	return nil
}

func reserved(kind, name string) *Refusal {
	return Refuse(AccessRefused, "%s name '%s' contains reserved prefix 'amq.*'", kind, name)
}

// checkExchangeName checks the type of an argument that names an exchange.
func (v *VHost) checkExchangeName(args wire.Table, key, what string) *Refusal {
	value, ok := args[key]
	if !ok {
		return nil
	}
	if _, ok := value.(string); !ok {
		return Refuse(PreconditionFailed, "invalid type '%s' for arg '%s' in %s", typeName(value), key, what)
	}
	return nil
}
