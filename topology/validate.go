package topology

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/rabbitmq"
)

// Problem is something that a broker would refuse, or a warning.
type Problem struct {
	Entity Entity
	Field  string // "Name", or the key of an argument; "" for the entity as a whole
	Err    error
}

// Error returns the entity, the field, and what is wrong.
func (p *Problem) Error() string {
	if p.Field == "" {
		return fmt.Sprintf("%s: %v", p.Entity, p.Err)
	}
	return fmt.Sprintf("%s: %s %v", p.Entity, p.Field, p.Err)
}

// Unwrap returns what is wrong.
func (p *Problem) Unwrap() error { return p.Err }

// problems collects what is wrong with one entity after another.
type problems struct {
	entity Entity
	list   []error
}

func (p *problems) add(field, format string, a ...any) {
	p.list = append(p.list, &Problem{p.entity, field, fmt.Errorf(format, a...)})
}

// Validate reports everything in t that RabbitMQ would refuse, all at once,
// so that it is known before anything is sent: the error joins a [*Problem]
// for each. It needs no broker, and so says nothing about what exists there:
// bindings may lead to what is not in t, see [Topology.Complete]. Arguments
// that are not RabbitMQ's own pass.
func (t Topology) Validate() error {
	var p problems
	for _, e := range t.Exchanges {
		p.exchange(e)
	}
	for _, q := range t.Queues {
		p.queue(q)
	}
	kinds := t.kinds()
	for _, b := range t.Bindings {
		p.binding(b, kinds)
	}
	p.twice(t)
	return errors.Join(p.list...)
}

// Complete reports the bindings whose ends are neither in t nor predeclared,
// each as a [*Problem]. A topology that is whole by itself has none.
func (t Topology) Complete() error {
	var p problems
	exchanges, queues := map[string]bool{}, map[string]bool{}
	for _, e := range t.Exchanges {
		exchanges[e.Name] = true
	}
	for _, q := range t.Queues {
		queues[q.Name] = true
	}
	for _, b := range t.Bindings {
		p.entity = b
		if !exchanges[b.Source] && !isPredeclared(b.Source) {
			p.add("Source", "is not declared here")
		}
		there := queues[b.Destination]
		if b.ToExchange {
			there = exchanges[b.Destination] || isPredeclared(b.Destination)
		}
		if !there {
			p.add("Destination", "is not declared here")
		}
	}
	return errors.Join(p.list...)
}

// kinds returns the types of exchanges by name.
func (t Topology) kinds() map[string]string {
	k := map[string]string{"amq.headers": Headers, "amq.match": Headers} // bindings of these are checked
	for _, e := range t.Exchanges {
		k[e.Name] = e.Type
	}
	return k
}

func isPredeclared(exchange string) bool {
	_, _, ok := rabbitmq.Predeclared(exchange)
	return ok
}

func (p *problems) exchange(e Exchange) {
	p.entity = e
	switch {
	case e.Name == "":
		p.add("Name", "is empty: the default exchange always exists")
	case rabbitmq.Reserved(e.Name):
		p.reservedExchange(e)
	}
	switch e.Type {
	case "", Direct, Fanout, Topic, Headers:
	case "x-delayed-message":
		if _, ok := e.Arguments["x-delayed-type"].(string); !ok {
			p.add("x-delayed-type", "must name the exchange type that routes after the delay")
		}
	default:
		if !strings.HasPrefix(e.Type, "x-") { // what plugins add begins so
			p.add("Type", "%q is unknown: direct, fanout, topic, headers, or a plugin's, which begins with x-", e.Type)
		}
	}
	if v, ok := e.Arguments["alternate-exchange"]; ok {
		p.check("alternate-exchange", aString(v))
	}
	p.encodable(e.Declare())
}

// reservedExchange: a predeclared exchange can be declared as it is. The broker
// compares the one argument that it knows.
func (p *problems) reservedExchange(e Exchange) {
	kind, internal, ok := rabbitmq.Predeclared(e.Name)
	if !ok {
		p.add("Name", `begins with "amq.", which is reserved`)
		return
	}
	there := Exchange{Name: e.Name, Type: kind, Internal: internal}
	for _, d := range e.Differences(there) {
		if _, own := e.Arguments[d.Field]; !own || d.Field == "alternate-exchange" {
			p.add("Name", "is that of a predeclared exchange: %s", d)
		}
	}
}

func (p *problems) queue(q Queue) {
	p.entity = q
	if rabbitmq.Reserved(q.Name) {
		p.add("Name", `begins with "amq.", which is reserved; leave it empty to have the broker choose one`)
	}
	declare := q.Declare()
	kind, _ := declare.Arguments["x-queue-type"].(string)
	if other, ok := q.Arguments["x-queue-type"]; ok && q.Type != "" && other != q.Type {
		p.add("Type", "%q contradicts the argument x-queue-type %#v", q.Type, other)
	}
	if kind == Quorum || kind == Stream {
		p.replicated(q, kind)
	}
	for _, key := range slices.Sorted(maps.Keys(declare.Arguments)) {
		rule, known := queueArguments[key]
		if !known {
			continue
		}
		if rule.check != nil {
			p.check(key, rule.check(declare.Arguments[key]))
		}
		if rule.types != nil && kind != "" && !slices.Contains(rule.types, kind) {
			p.add(key, "is not for a %s queue", kind)
		}
	}
	_, key := q.Arguments["x-dead-letter-routing-key"]
	if _, exchange := q.Arguments["x-dead-letter-exchange"]; key && !exchange {
		p.add("x-dead-letter-routing-key", "needs x-dead-letter-exchange")
	}
	p.encodable(declare)
}

func (p *problems) replicated(q Queue, kind string) {
	if q.Name == "" {
		p.add("Name", "is empty: a %s queue needs one", kind)
	}
	for _, flag := range []struct {
		field string
		set   bool
	}{{"Transient", q.Transient}, {"Exclusive", q.Exclusive}, {"AutoDelete", q.AutoDelete}} {
		if flag.set {
			p.add(flag.field, "does not apply: a %s queue is durable, shared and kept", kind)
		}
	}
}

func (p *problems) binding(b Binding, kinds map[string]string) {
	p.entity = b
	if b.Source == "" {
		p.add("Source", "is empty: the default exchange cannot be bound, it routes to every queue by name")
	}
	if b.ToExchange && b.Destination == "" {
		p.add("Destination", "is empty: the default exchange cannot be bound")
	}
	if match, ok := b.Arguments["x-match"]; ok && kinds[b.Source] == Headers {
		p.check("x-match", oneOf("all", "any", "all-with-x", "any-with-x")(match))
	}
	p.encodable(b.Bind())
}

// twice finds entities that are declared twice, differently.
func (p *problems) twice(t Topology) {
	exchanges, queues := map[string]Exchange{}, map[string]Queue{}
	for _, e := range t.Exchanges {
		p.entity = e
		if first, ok := exchanges[e.Name]; ok && len(first.Differences(e)) > 0 {
			p.add("", "is declared twice, differently")
		}
		exchanges[e.Name] = e
	}
	for _, q := range t.Queues {
		p.entity = q
		if first, ok := queues[q.Name]; ok && q.Name != "" && len(first.Differences(q))+len(q.Differences(first)) > 0 {
			p.add("", "is declared twice, differently")
		}
		queues[q.Name] = q
	}
}

func (p *problems) check(field string, err error) {
	if err != nil {
		p.list = append(p.list, &Problem{p.entity, field, err})
	}
}

// encodable finds names that are too long and arguments that AMQP cannot carry.
func (p *problems) encodable(m wire.Method) {
	_, err := wire.AppendMethod(nil, 0, m)
	p.check("", err)
}
