package state

import (
	"slices"

	"github.com/warren-mq/warren/core/wire"
)

// Binding leads from an exchange to a queue or to another exchange.
type Binding struct {
	Source    *Exchange
	Queue     *Queue    // where it leads, or nil
	Exchange  *Exchange // where it leads, if not to a queue
	Key       string
	Arguments wire.Table

	id     bindingID
	topic  []string     // words of the key, of a topic exchange
	header headersMatch // of a headers exchange
}

// bindingID is what makes two bindings of an exchange the same.
type bindingID struct {
	toQueue   bool
	name, key string
	arguments string // encoded
}

// BindingSpec is what a client says of a binding. Destination names a queue, or an exchange if ToExchange.
type BindingSpec struct {
	Source, Destination, Key string
	ToExchange               bool
	Arguments                wire.Table
	Owner                    any // the connection that asks
}

// Bind makes a binding, unless it is there.
func (v *VHost) Bind(spec BindingSpec) *Refusal {
	b, r := v.resolve(spec)
	if r != nil {
		return r
	}
	x := b.Source
	if x.kind == Headers {
		if r := checkMatch(spec.Arguments); r != nil {
			return r
		}
		b.header = newHeadersMatch(spec.Arguments)
		b.header.loose = v.Before40
	}
	if x.kind == Topic {
		b.topic = words(b.Key)
		if r := checkTopic(b.Key, b.topic); r != nil && !v.Before43 {
			return r
		}
	}
	if x.byID[b.id] != nil {
		return nil
	}
	x.byID[b.id] = b
	x.byKey[b.Key] = append(x.byKey[b.Key], b)
	x.bindings = append(x.bindings, b)
	if b.Queue != nil {
		b.Queue.bindings = append(b.Queue.bindings, b)
	} else {
		b.Exchange.inbound = append(b.Exchange.inbound, b)
	}
	return nil
}

// Unbind removes a binding. One that is not there counts as removed, and so it does if an end is missing.
func (v *VHost) Unbind(spec BindingSpec) *Refusal {
	if r := NotDefaultBinding(spec); r != nil {
		return r
	}
	b, r := v.resolve(spec)
	if r != nil {
		if r.Code == NotFound {
			return nil
		}
		return r
	}
	if there := b.Source.byID[b.id]; there != nil {
		there.remove()
	}
	return nil
}

// resolve looks both ends up.
func (v *VHost) resolve(spec BindingSpec) (*Binding, *Refusal) {
	if r := NotDefaultBinding(spec); r != nil {
		return nil, r
	}
	b := &Binding{Source: v.exchanges[spec.Source], Key: spec.Key, Arguments: spec.Arguments,
		id: bindingID{toQueue: !spec.ToExchange, name: spec.Destination, key: spec.Key, arguments: encode(spec.Arguments)}}
	if spec.ToExchange {
		b.Exchange = v.exchanges[spec.Destination]
	} else {
		b.Queue = v.queues[spec.Destination]
	}
	switch {
	case b.Source == nil:
		return nil, v.notFound("exchange", spec.Source)
	case spec.ToExchange && b.Exchange == nil:
		return nil, v.notFound("exchange", spec.Destination)
	case !spec.ToExchange && b.Queue == nil:
		return nil, v.notFound("queue", spec.Destination)
	case b.Queue != nil:
		return b, b.Queue.checkAccess(spec.Owner)
	}
	return b, nil
}

// NotDefaultBinding refuses a binding to or from the default exchange.
func NotDefaultBinding(spec BindingSpec) *Refusal {
	if spec.ToExchange {
		if r := NotDefault(spec.Destination); r != nil {
			return r
		}
	}
	return NotDefault(spec.Source)
}

// remove takes the binding away, and with it an auto-delete exchange that has no other.
func (b *Binding) remove() {
	x := b.Source
	if x.byID[b.id] != b {
		return
	}
	is := func(other *Binding) bool { return other == b }
	delete(x.byID, b.id)
	x.bindings = slices.DeleteFunc(x.bindings, is)
	if x.byKey[b.Key] = slices.DeleteFunc(x.byKey[b.Key], is); len(x.byKey[b.Key]) == 0 {
		delete(x.byKey, b.Key)
	}
	if b.Queue != nil {
		b.Queue.bindings = slices.DeleteFunc(b.Queue.bindings, is)
	} else {
		b.Exchange.inbound = slices.DeleteFunc(b.Exchange.inbound, is)
	}
	if x.AutoDelete && len(x.bindings) == 0 && !x.deleted {
		x.delete()
	}
}

// Destination returns the name of the queue or exchange where the binding leads.
func (b *Binding) Destination() string { return b.id.name }

// Bindings returns all bindings but those of the default exchange, by source, then in the order of their
// making.
func (v *VHost) Bindings() []*Binding {
	var all []*Binding
	for _, x := range v.Exchanges() {
		all = append(all, x.bindings...)
	}
	return all
}

// encode is a table as octets, the same for equal tables.
func encode(t wire.Table) string {
	if len(t) == 0 {
		return ""
	}
	b, _ := wire.AppendTable(nil, t) // it came off the wire
	return string(b)
}
