package document

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/warren-mq/warren/topology"
)

// Definitions is what RabbitMQ exports and imports: with the management API
// (GET /api/definitions, or /api/definitions/VHOST for one virtual host), with
// rabbitmqctl export_definitions, or at boot. Exchanges, queues and bindings
// are understood; users, permissions, policies and whatever else there is
// stay as they are. It holds password hashes if the export did.
type Definitions struct {
	root   *node
	vhosts []string // that have entities or are listed; "" if the file is of one virtual host
	parts  map[string]*topology.Topology
	single bool // of one virtual host, which is not named in the entities
	typed  bool // queues have a "type" of their own
}

// NewDefinitions returns empty definitions that name their virtual hosts.
func NewDefinitions() *Definitions {
	return &Definitions{root: objectNode(), parts: map[string]*topology.Topology{}}
}

// ParseDefinitions reads an export in any of its forms. Unknown fields at the
// top are kept; those of exchanges, queues and bindings are mistakes, as are
// values of wrong types. The error joins an [*Error] for every mistake.
//
// Exports leave out exclusive queues, internal exchanges, and the predeclared
// exchanges, so bindings may lead to what is not there. They do not tell the
// widths of numbers: each whole one is an int64, which is what RabbitMQ makes of it
// when it imports them. The binding that was exported may have another width, and
// RabbitMQ tells bindings apart by it, though it routes alike: so apply what was read
// with an inventory, which finds it, see
// With of package topology/compare.
func ParseDefinitions(data []byte) (*Definitions, error) {
	root, err := readJSON(data)
	if err != nil {
		return nil, err
	}
	d := decoder{plain: true}
	if !d.is(root, "", object) {
		return nil, d.err()
	}
	defs := &Definitions{root: root, parts: map[string]*topology.Topology{}}
	format := root.get("rabbitmq_definition_format")
	defs.single = format != nil && format.text == "single_virtual_host" || format == nil && root.get("vhosts") == nil
	p := &definitionsDecoder{decoder: &d, defs: defs}
	for _, part := range []struct {
		key  string
		take into
	}{{"vhosts", p.vhost}, {"exchanges", p.exchange}, {"queues", p.queue}, {"bindings", p.binding}} {
		if n := root.get(part.key); n != nil {
			d.each(part.take)(n, part.key)
		}
	}
	slices.Sort(defs.vhosts)
	return defs, d.err()
}

// VHosts returns the virtual hosts, sorted; one named "" if the definitions
// are those of a single one, which they do not name.
func (d *Definitions) VHosts() []string { return slices.Clone(d.vhosts) }

// Topology returns a copy of what a virtual host has, without the predeclared
// exchanges. For definitions of a single virtual host any name will do.
func (d *Definitions) Topology(vhost string) topology.Topology {
	if t := d.parts[d.key(vhost)]; t != nil {
		return t.Clone()
	}
	return topology.Topology{}
}

func (d *Definitions) key(vhost string) string {
	if d.single {
		return ""
	}
	return vhost
}

func (d *Definitions) part(vhost string) *topology.Topology {
	key := d.key(vhost)
	if d.parts[key] == nil {
		d.parts[key] = &topology.Topology{}
	}
	if !slices.Contains(d.vhosts, key) {
		d.vhosts = append(d.vhosts, key)
	}
	return d.parts[key]
}

// definitionsDecoder reads the entities of all virtual hosts.
type definitionsDecoder struct {
	*decoder
	defs *Definitions
}

// vhost only notes the name; the rest is kept as it is.
func (d *definitionsDecoder) vhost(n *node, path string) {
	name := n.get("name")
	if d.is(n, path, object) && name != nil && d.is(name, path+".name", text) {
		d.defs.part(name.text)
	}
}

// entity reads an entity with the fields that all have.
func (d *definitionsDecoder) entity(n *node, path string, takers map[string]into) *topology.Topology {
	var vhost string
	takers["vhost"] = d.text(&vhost)
	d.object(n, path, takers)
	if !d.defs.single && n.get("vhost") == nil {
		d.mistake(n.line, n.column, path, "has no vhost")
	}
	return d.defs.part(vhost)
}

func (d *definitionsDecoder) exchange(n *node, path string) {
	var e topology.Exchange
	t := d.entity(n, path, map[string]into{
		"name": d.text(&e.Name), "type": d.text(&e.Type), "durable": d.not(&e.Transient), "auto_delete": d.flag(&e.AutoDelete),
		"internal": d.flag(&e.Internal), "arguments": d.table(&e.Arguments), "policy": d.skip, "user_who_performed_action": d.skip,
	})
	if !strings.HasPrefix(e.Name, "amq.") {
		e.Arguments = unlessEmpty(e.Arguments)
		t.Exchanges = append(t.Exchanges, e)
	}
}

func (d *definitionsDecoder) queue(n *node, path string) {
	var q topology.Queue
	var kind string
	t := d.entity(n, path, map[string]into{
		"name": d.text(&q.Name), "type": d.text(&kind), "durable": d.not(&q.Transient), "auto_delete": d.flag(&q.AutoDelete),
		"arguments": d.table(&q.Arguments), "policy": d.skip,
	})
	d.defs.typed = d.defs.typed || kind != ""
	if argument, ok := q.Arguments["x-queue-type"].(string); ok {
		q.Type = argument
		delete(q.Arguments, "x-queue-type")
	} else {
		q.Type = kind
	}
	q.Arguments = unlessEmpty(q.Arguments)
	t.Queues = append(t.Queues, q)
}

func (d *definitionsDecoder) binding(n *node, path string) {
	var b topology.Binding
	t := d.entity(n, path, map[string]into{
		"source": d.text(&b.Source), "destination": d.text(&b.Destination), "routing_key": d.text(&b.RoutingKey), "arguments": d.table(&b.Arguments),
		"destination_type": d.choice(func(s string) { b.ToExchange = s == "exchange" }, "queue", "exchange"), "properties_key": d.skip,
	})
	b.Arguments = unlessEmpty(b.Arguments)
	t.Bindings = append(t.Bindings, b)
}

func unlessEmpty(t topology.Table) topology.Table {
	if len(t) == 0 {
		return nil
	}
	return t
}

// Set replaces what a virtual host has. What definitions cannot express is
// left out, as RabbitMQ does: exclusive and server-named queues, with their
// bindings, and what is not [topology.Topology.Declarable]. The errors, after which nothing is changed, are what is invalid,
// and arguments that plain JSON has no way to write, such as a time.
func (d *Definitions) Set(vhost string, t topology.Topology) error {
	t = expressible(t.Declarable())
	if err := errors.Join(t.Validate(), plain(t)); err != nil {
		return err
	}
	*d.part(vhost) = t
	slices.Sort(d.vhosts)
	d.listVHost(vhost)
	d.keepOthers("exchanges", vhost, func(n *node) bool { return strings.HasPrefix(textOf(n.get("name")), "amq.") })
	d.keepOthers("queues", vhost, func(*node) bool { return false })
	d.keepOthers("bindings", vhost, func(*node) bool { return false })
	return d.append(vhost, t)
}

// listVHost makes sure that an import creates the virtual host.
func (d *Definitions) listVHost(vhost string) {
	if d.single {
		return
	}
	n := d.root.get("vhosts")
	if n == nil {
		n = listNode()
		d.root.set("vhosts", n)
	}
	if slices.ContainsFunc(n.items, func(item *node) bool { return textOf(item.get("name")) == vhost }) {
		return
	}
	entry := objectNode()
	entry.set("name", textNode(vhost))
	n.items = append(n.items, entry)
}

func expressible(t topology.Topology) topology.Topology {
	dropped := map[string]bool{}
	t.Queues = slices.DeleteFunc(t.Queues, func(q topology.Queue) bool {
		drop := q.Exclusive || q.Name == ""
		dropped[q.Name] = dropped[q.Name] || drop
		return drop
	})
	t.Bindings = slices.DeleteFunc(t.Bindings, func(b topology.Binding) bool { return !b.ToExchange && dropped[b.Destination] })
	return t
}

// keepOthers drops a virtual host's entities from a list, but for some.
func (d *Definitions) keepOthers(key, vhost string, keep func(*node) bool) {
	n := d.root.get(key)
	if n == nil {
		n = listNode()
		d.root.set(key, n)
	}
	n.items = slices.DeleteFunc(n.items, func(item *node) bool {
		return (d.single || textOf(item.get("vhost")) == vhost) && !keep(item)
	})
}

func textOf(n *node) string {
	if n == nil {
		return ""
	}
	return n.text
}

// append adds a virtual host's entities in the form that the rest has.
func (d *Definitions) append(vhost string, t topology.Topology) error {
	var errs []error
	add := func(list string, entity topology.Entity, args topology.Table, exact bool, fields ...field) {
		n := &node{kind: object, fields: fields}
		if !d.single {
			n.set("vhost", textNode(vhost))
		}
		arguments, err := argumentsNode(args, exact)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", entity, err))
			return
		}
		n.set("arguments", arguments)
		into := d.root.get(list)
		into.items = append(into.items, n)
	}
	for _, e := range t.Exchanges {
		m := e.Declare()
		add("exchanges", e, m.Arguments, false, named("name", textNode(m.Exchange)), named("type", textNode(m.Type)),
			named("durable", boolNode(m.Durable)), named("auto_delete", boolNode(m.AutoDelete)), named("internal", boolNode(m.Internal)))
	}
	for _, q := range t.Queues {
		m := q.Declare()
		fields := []field{named("name", textNode(m.Queue)), named("durable", boolNode(m.Durable)), named("auto_delete", boolNode(m.AutoDelete))}
		if d.typed && q.Type != "" {
			fields = append(fields, named("type", textNode(q.Type)))
		}
		add("queues", q, m.Arguments, false, fields...)
	}
	for _, b := range t.Bindings {
		kind := "queue"
		if b.ToExchange {
			kind = "exchange"
		}
		add("bindings", b, b.Arguments, false, named("source", textNode(b.Source)), named("destination", textNode(b.Destination)),
			named("destination_type", textNode(kind)), named("routing_key", textNode(b.RoutingKey)))
	}
	return errors.Join(errs...)
}

func named(key string, n *node) field { return field{key: key, value: n} }

// Marshal writes the definitions: unchanged parts as they were read, in the
// same order.
func (d *Definitions) Marshal() ([]byte, error) { return writeJSON(d.root) }
